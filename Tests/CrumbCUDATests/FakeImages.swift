import CrumbCUDA

/// Archives of kernels as `Scripts/kernels` writes them; what the images hold does not matter to the fake driver.
enum FakeImages {
    struct Entry {
        var module: String
        var target: String
        var kernels: String
        var bytes: [UInt8] = Array("image".utf8)
    }

    static func text(_ entries: [Entry]) -> [UInt8] {
        var index = "crumb-kernels 1\n"
        var body: [UInt8] = []
        for entry in entries {
            index += "image \(entry.module) \(entry.target) \(body.count) \(entry.bytes.count) \(entry.kernels)\n"
            body += entry.bytes + [UInt8](repeating: 0, count: (64 - entry.bytes.count % 64) % 64)
        }
        index += "end\n"
        let padding = (64 - index.utf8.count % 64) % 64
        return Array(index.utf8) + [UInt8](repeating: UInt8(ascii: "\n"), count: padding) + body
    }

    /// The archive of `bytes`, kept for the life of the process.
    static func images(_ bytes: [UInt8]) -> KernelImages {
        let kept = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 64)
        kept.copyBytes(from: bytes)
        return KernelImages(UnsafeRawBufferPointer(rebasing: kept[..<bytes.count]))
    }

    /// Kernel `scale` in one module for the given targets.
    static func scale(_ targets: [String]) -> KernelImages {
        images(text(targets.map { Entry(module: "toy", target: $0, kernels: "scale,fault") }))
    }
}

/// The arguments of `scale`.
struct ScaleArguments: BitwiseCopyable {
    var input: UInt64 = 1
    var output: UInt64 = 2
    var count: UInt32 = 3
    var factor: Float = 4
}
