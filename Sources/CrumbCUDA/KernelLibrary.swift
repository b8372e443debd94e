import Synchronization

/// The kernels of one card by name. A module is loaded when the first of its kernels is asked for.
package final class KernelLibrary: Sendable {
    package let device: Device
    package let images: KernelImages
    private let modules = Mutex<[String: Module]>([:])

    /// - Throws: `CUDAError` when there are no kernels, or none for this card.
    package init(_ images: KernelImages = .builtIn, on device: Device) throws(CUDAError) {
        try images.check(device.info)
        self.device = device
        self.images = images
    }

    /// Whether some image has the kernel and runs on this card: a few exist for one architecture only.
    package func has(_ name: String) -> Bool {
        images.images.contains { $0.kernels.contains(name) && $0.target.serves(device.info.capability) }
    }

    /// A kernel, its module loaded.
    ///
    /// - Parameters:
    ///   - arguments: the type of its one argument struct; its size must be what the kernel takes.
    ///   - sharedBytes: the most dynamic shared memory it will be launched with.
    package func kernel<Arguments: BitwiseCopyable>(
        _ name: String, arguments: Arguments.Type, sharedBytes: Int = 0
    ) throws(CUDAError) -> Kernel {
        let image = try images.image(of: name, for: device.info)
        let module = try modules.withLock { modules throws(CUDAError) in
            let key = "\(image.module) \(image.target)"
            if let module = modules[key] { return module }
            let module = try Module(image, on: device)
            modules[key] = module
            return module
        }
        return try module.kernel(name, arguments: arguments, sharedBytes: sharedBytes)
    }
}
