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
        if wantsCPU {
            guard case .cuda = choice else { return forward }
            throw EngineError(
                "--device \(choice) and the backend \(forward.backend.name) of the CPU exclude each other: leave one out"
            )
        }
        let decoder = try choice.onCard("the CPU is used in place of a GPU", logger: logger) { index in
            let card = try Card(index, logger: logger)
            return try GPUDecoder(
                forward.configuration, weights: forward.weights, library: card.library, blas: card.blas, pool: pool)
        }
        return decoder ?? forward
    }
}

extension DeviceChoice {
    /// What `make` returns for the number of a GPU; nil where the CPU is to do the work.
    ///
    /// - Parameter fallback: What is logged where there was no GPU that could, and `automatic` lets the CPU take over.
    /// - Throws: what went wrong on a GPU that was asked for.
    package func onCard<Made>(
        _ fallback: Logger.Message, logger: Logger, _ make: (Int) throws -> Made?
    ) throws -> Made? {
        guard self != .cpu else { return nil }
        do {
            return try make(index)
        } catch {
            guard self == .automatic, let level = FallbackToCPU.level(for: error) else { throw error }
            logger.log(level: level, fallback, metadata: ["reason": "\(error)"])
            return nil
        }
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
