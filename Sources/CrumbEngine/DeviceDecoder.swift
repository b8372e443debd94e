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

    /// The decoder, and what the log says of it.
    struct Chosen {
        let decoder: any Decoder
        /// "CPU", or the card and its image of kernels.
        let device: String
        /// How products are made.
        let path: String
    }

    /// The decoder that a model is run with.
    ///
    /// - Parameter wantsCPU: Whether a backend of the CPU was asked for by name, which `auto` then heeds.
    /// - Throws: what went wrong on a GPU that was asked for; with `auto` that is logged, and the CPU takes over.
    func choose(_ forward: DecoderForward, wantsCPU: Bool) throws -> Chosen {
        let onHost = Chosen(decoder: forward, device: "CPU", path: forward.backend.name)
        switch choice {
        case .cpu: return onHost
        case .cuda(let index):
            guard !wantsCPU else {
                throw EngineError(
                    "--device \(choice) and the backend \(forward.backend.name) of the CPU exclude each other: leave one out"
                )
            }
            return try onCard(index, forward)
        case .automatic:
            guard !wantsCPU else { return onHost }
            do {
                return try onCard(0, forward)
            } catch let error as CUDAError where error.kind != .fault && error.kind != .lost {
                logger.info("the CPU is used", metadata: ["reason": "\(error)"])
            } catch let error as ModelError {
                logger.info("the CPU is used", metadata: ["reason": "\(error)"])
            }
            return onHost
        }
    }

    private func onCard(_ index: Int, _ forward: DecoderForward) throws -> Chosen {
        let card = try Card(index, logger: logger)
        let decoder = try GPUDecoder(
            forward.configuration, weights: forward.weights, library: card.library, blas: card.blas, pool: pool)
        return Chosen(decoder: decoder, device: decoder.name, path: decoder.pathName)
    }
}
