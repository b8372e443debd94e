/// An owner of one image of kernels on a card, shared by the kernels taken from it and unloaded after the last.
package final class Module: @unchecked Sendable {  // the driver lets any thread use a module
    package let device: Device
    package let name: String
    package let target: ImageTarget
    let handle: DriverTable.Handle

    /// Room for what the driver's compiler says of PTX that it refuses.
    private static let logBytes = 4096

    /// Puts an image on the card; PTX is compiled first, which can take seconds.
    package init(_ image: KernelImages.Image, on device: Device) throws(CUDAError) {
        var handle: DriverTable.Handle?
        var options = [DriverFlag.errorLogBuffer, DriverFlag.errorLogBytes]
        var log = [CChar](repeating: 0, count: Self.logBytes)
        let code = log.withUnsafeMutableBufferPointer { log in
            var values = [UnsafeMutableRawPointer(log.baseAddress), UnsafeMutableRawPointer(bitPattern: log.count - 1)]
            return device.run {
                $0.moduleLoadDataEx(&handle, image.bytes.baseAddress, UInt32(options.count), &options, &values)
            }
        }
        guard code == DriverCode.success, let handle else {
            throw Self.error(
                code, image, String(decoding: log.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self),
                device)
        }
        self.device = device
        self.handle = handle
        name = image.module
        target = image.target
    }

    deinit { device.release { $0.moduleUnload(handle) } }

    /// A kernel of this module.
    ///
    /// - Parameters:
    ///   - arguments: the type of its one argument struct; its size must be what the kernel takes.
    ///   - sharedBytes: the most dynamic shared memory it will be launched with.
    package func kernel<Arguments: BitwiseCopyable>(
        _ name: String, arguments: Arguments.Type, sharedBytes: Int = 0
    ) throws(CUDAError) -> Kernel {
        let kernel = try Kernel(name, in: self)
        let size = MemoryLayout<Arguments>.stride
        guard kernel.argumentBytes == size else {
            throw CUDAError(
                .badLaunch,
                "kernel \(name) takes \(kernel.argumentBytes) bytes of arguments and \(arguments) has \(size); "
                    + "the kernels are of another version than the program: run make kernels and build again")
        }
        if sharedBytes > 0 { try kernel.allowSharedMemory(bytes: sharedBytes) }
        return kernel
    }

    private static func error(
        _ code: Int32, _ image: KernelImages.Image, _ log: String, _ device: Device
    ) -> CUDAError {
        let operation = "loading the kernels \(image.module) (\(image.target))"
        guard [DriverCode.noBinaryForGPU, DriverCode.invalidPTX, DriverCode.unsupportedPTXVersion].contains(code) else {
            return device.error(code, operation)
        }
        let said = log.isEmpty ? "" : " (\(log.split(separator: "\n").joined(separator: "; ")))"
        return CUDAError(
            .noImage, code: code,
            "\(device.label), compute capability \(device.info.capability), refuses the kernels \(image.module) for "
                + "\(image.target): \(device.driver.table.name(of: code))\(said); update the driver, "
                + "or use --device cpu")
    }
}
