import CrumbCUDA
import CrumbGPU
import CrumbModel
import CrumbThreads
import Logging

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
            } catch let error as CUDAError where error.kind != .fault && error.kind != .lost {
                logger.info("the CPU is used", metadata: ["reason": "\(error)"])
            } catch let error as ModelError {
                logger.info("the CPU is used", metadata: ["reason": "\(error)"])
            }
            return forward
        }
    }

    private func onCard(_ index: Int, _ forward: DecoderForward) throws -> GPUDecoder {
        let card = try Card(index, logger: logger)
        return try GPUDecoder(
            forward.configuration, weights: forward.weights, library: card.library, blas: card.blas, pool: pool)
    }
}
