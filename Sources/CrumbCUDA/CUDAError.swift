/// Why the GPU cannot do what was asked, in one sentence with the operation, the numbers and the way out.
package struct CUDAError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What callers tell apart.
    package enum Kind: Sendable {
        /// No driver, one that lacks functions, or one older than the kernels need.
        case driverMissing, driverIncomplete, driverTooOld
        /// No GPU at all, or none of the number asked for.
        case noDevice, noSuchDevice
        /// Device or pinned memory ran out, or would.
        case outOfMemory
        /// The program was built without kernels, none fits the card, or there is none of this name.
        case noKernels, noImage, noSuchKernel
        /// A kernel faulted, or the card stopped answering: nothing works on the device until the program is restarted.
        case fault, lost
        /// A launch that the card cannot do: too many threads, too much shared memory.
        case badLaunch
        /// An optional library (cuBLAS, NVML) is missing or refuses.
        case library
        /// Any other refusal of the driver.
        case refused
    }

    package let kind: Kind
    /// The driver's or library's result code, 0 where it was not asked.
    package let code: Int32
    package let description: String

    package init(_ kind: Kind, code: Int32 = 0, _ description: String) {
        self.kind = kind
        self.code = code
        self.description = description
    }
}

extension CUDAError {
    static func driverMissing(_ names: [String]) -> CUDAError {
        CUDAError(
            .driverMissing,
            "no NVIDIA driver: \(names.joined(separator: ", ")) cannot be loaded; install NVIDIA's driver "
                + "\(DriverVersion.minimum.release) or later, or use --device cpu")
    }

    static func driverIncomplete(_ names: [String]) -> CUDAError {
        CUDAError(
            .driverIncomplete,
            "the NVIDIA driver lacks \(names.joined(separator: ", ")); install driver "
                + "\(DriverVersion.minimum.release) or later, or use --device cpu")
    }

    static func driverTooOld(_ version: DriverVersion) -> CUDAError {
        CUDAError(
            .driverTooOld,
            "the NVIDIA driver offers CUDA \(version), but the kernels need \(DriverVersion.minimum); install driver "
                + "\(DriverVersion.minimum.release) or later, or use --device cpu")
    }

    static func noDevice(_ code: Int32) -> CUDAError {
        CUDAError(
            .noDevice, code: code,
            "the NVIDIA driver finds no GPU; see whether nvidia-smi lists one and CUDA_VISIBLE_DEVICES does not hide "
                + "it, or use --device cpu")
    }

    static func noSuchDevice(_ index: Int, count: Int) -> CUDAError {
        let last = count == 1 ? "only cuda:0" : "cuda:0 to cuda:\(count - 1)"
        return CUDAError(.noSuchDevice, "there is no GPU cuda:\(index); this machine has \(last)")
    }

    static func outOfMemory(_ purpose: String, needed: Int, free: Int, total: Int, on label: String) -> CUDAError {
        CUDAError(
            .outOfMemory, code: DriverCode.outOfMemory,
            "\(purpose) needs \(ByteText.of(needed)) on \(label), but \(ByteText.of(free)) of \(ByteText.of(total)) "
                + "are free; close what else uses the card, or choose a smaller model, batch or context")
    }

    static func noImage(_ subject: String, _ targets: [ImageTarget], _ info: DeviceInfo) -> CUDAError {
        let names = targets.map(\.name).joined(separator: ", ")
        return CUDAError(
            .noImage,
            "\(info.label) has compute capability \(info.capability), and \(subject) compiled for \(names) only; use a "
                + "card that one of these serves, or --device cpu")
    }

    /// What a result code means for `operation`, such as "launching rms_norm on cuda:0 (NVIDIA H200)".
    static func from(_ code: Int32, _ operation: String, _ table: DriverTable) -> CUDAError {
        let cause = "\(operation) failed with \(table.name(of: code))"
        switch code {
        case DriverCode.outOfMemory:
            return CUDAError(
                .outOfMemory, code: code,
                "\(cause); close what else uses the card, or choose a smaller model, batch or context")
        case DriverCode.launchOutOfResources:
            return CUDAError(
                .badLaunch, code: code,
                "\(cause); the kernel asks for more registers or shared memory than the card has: run crumb doctor")
        case DriverCode.driverMismatch:
            return CUDAError(
                .refused, code: code,
                "\(cause); the driver was updated without a restart: restart the machine, or reload its kernel module")
        case _ where DriverCode.isFault(code):
            return CUDAError(
                .fault, code: code,
                "\(cause); a kernel failed and the device is out of use for this program: start it again, and if that "
                    + "repeats, run crumb doctor and report what it prints")
        case _ where DriverCode.isLoss(code):
            return CUDAError(
                .lost, code: code,
                "\(cause); the card stopped answering: see whether nvidia-smi still lists it, then start the program "
                    + "again or use --device cpu")
        default:
            return CUDAError(.refused, code: code, "\(cause); run crumb doctor to see what works on this machine")
        }
    }
}

extension DriverTable {
    /// A result code as the driver calls it: "CUDA_ERROR_LAUNCH_FAILED (719, unspecified launch failure)".
    func name(of code: Int32) -> String {
        var name: UnsafePointer<CChar>?
        var text: UnsafePointer<CChar>?
        guard getErrorName(code, &name) == DriverCode.success, let name else { return "error \(code)" }
        guard getErrorString(code, &text) == DriverCode.success, let text else {
            return "\(String(cString: name)) (\(code))"
        }
        return "\(String(cString: name)) (\(code), \(String(cString: text)))"
    }
}

/// Amounts of memory in messages.
enum ByteText {
    /// In the largest unit that leaves at least one, with two places from MiB on.
    static func of(_ bytes: Int) -> String {
        guard bytes >= 1 << 20 else { return bytes >= 1 << 10 ? "\(bytes >> 10) KiB" : "\(bytes) bytes" }
        let (unit, name) = bytes >= 1 << 30 ? (1 << 30, "GiB") : (1 << 20, "MiB")
        let hundredths = Int((Double(bytes) / Double(unit) * 100).rounded())
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) \(name)"
    }
}
