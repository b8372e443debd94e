import CrumbCUDA
import CrumbFormats
import CrumbGPU
import CrumbModel
import CrumbThreads
package import Logging

/// Brings a model to the GPU where it is wanted there.
struct DeviceDecoder {
    let choice: DeviceChoice
    let pool: ThreadPool
    let logger: Logger

    /// The decoder that a model is run with.
    ///
    /// - Parameter wantsCPU: Whether a backend of the CPU was asked for by name, which `auto` then heeds.
    /// - Throws: what went wrong on a GPU that was asked for; with `auto` that is logged, and the CPU takes over.
    func choose(_ forward: DecoderForward, wantsCPU: Bool) throws -> any Decoder {
        switch choice {
        case .cpu: return forward
        case .cuda(let index):
            guard !wantsCPU else {
                throw EngineError(
                    "--device \(choice) and the backend \(forward.backend.name) of the CPU exclude each other: leave one out"
                )
            }
            return try onCard(index, forward)
        case .automatic:
            guard !wantsCPU else { return forward }
            do {
                return try onCard(0, forward)
            } catch {
                guard let level = FallbackToCPU.level(for: error) else { throw error }
                logger.log(level: level, "the CPU is used in place of a GPU", metadata: ["reason": "\(error)"])
                return forward
            }
        }
    }

    private func onCard(_ index: Int, _ forward: DecoderForward) throws -> GPUDecoder {
        let card = try Card(index, logger: logger)
        return try GPUDecoder(
            forward.configuration, weights: forward.weights, library: card.library, blas: card.blas, pool: pool)
    }
}

/// What the CPU's taking over for a GPU is worth in the log.
package enum FallbackToCPU {
    /// The level of the message: a machine without a GPU is as it should be, but whoever has one must learn why it is
    /// not used. nil where the CPU must not take over: the error is a failure of the GPU in the middle of its work.
    ///
    /// - Parameter hasCard: Whether the system knows of an NVIDIA GPU, where the driver's library is missing.
    package static func level(for error: any Error, hasCard: Bool = systemHasCard) -> Logger.Level? {
        switch error {
        case let error as CUDAError:
            switch error.kind {
            case .fault, .lost: nil
            case .driverMissing: hasCard ? .warning : .info
            default: .warning
            }
        case is ModelError: .warning
        default: nil
        }
    }

    /// Whether NVIDIA's kernel module serves a GPU to this process; a container may get that without the library.
    package static var systemHasCard: Bool { FileSystem.exists("/dev/nvidiactl") }
}
