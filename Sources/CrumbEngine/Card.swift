package import CrumbCUDA
package import Logging

/// A GPU with its kernels, opened for work.
package struct Card {
    package let library: KernelLibrary
    /// nil where cuBLAS cannot be loaded; `blasProblem` then says why.
    package let blas: CuBLASTable?
    package let blasProblem: CUDAError?

    package var device: Device { library.device }

    /// Opens card `index`.
    ///
    /// - Throws: `CUDAError` where there is no driver, no such card, or no kernels for it.
    package init(_ index: Int, logger: Logger) throws(CUDAError) {
        try self.init(Device(index, driver: Driver.load()))
        if let blasProblem { logger.info("cuBLAS is not used", metadata: ["reason": "\(blasProblem)"]) }
    }

    /// A card that is open already.
    ///
    /// - Throws: `CUDAError` where there are no kernels for it.
    package init(_ device: Device) throws(CUDAError) {
        library = try KernelLibrary(on: device)
        do {
            blas = try CuBLASTable.load()
            blasProblem = nil
        } catch {
            blas = nil
            blasProblem = error
        }
    }
}
