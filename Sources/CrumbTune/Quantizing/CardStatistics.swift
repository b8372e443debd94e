import CrumbABI
import CrumbCUDA
import CrumbQuant
import Glibc

func lab(_ name: String, _ value: Float) -> Float { getenv(name).flatMap { Float(String(cString: $0)) } ?? value }

/// The second moments of a matrix's input on the card; see `InputStatistics`, whose numbers these are.
final class CardStatistics {
    let channels: Int
    private(set) var tokens = 0
    /// fp32 [K][K].
    private let hessian: DeviceBuffer<Float>
    var address: UInt64 { hessian.address }
    private let queue: QuantizeQueue

    /// As `InputStatistics.compression`, for tokens that have weights.
    private static let compression = lab("CRUMB_LAB_COMPRESSION", 0)

    init(channels: Int, _ queue: QuantizeQueue) throws(CUDAError) {
        self.channels = channels
        self.queue = queue
        let device = queue.pass.stream.device
        hessian = try DeviceBuffer(count: channels * channels, on: device, for: "a layer's statistics")
        try queue.pass.stream.fill(hessian.view)
    }

    /// Adds the inputs of `count` tokens, fp32 [count][K].
    ///
    /// - Parameters:
    ///   - weights: What each counts for, fp32 [count]; 0 where their size says it.
    ///   - scratch: Room for as many numbers as the inputs have.
    func add(_ inputs: UInt64, weights: UInt64, count: Int, scratch: UInt64) throws(CUDAError) {
        try queue.launch(
            queue.kernels.compress, blocks: count,
            crumb_quantize_compress_args(
                input: inputs, weights: weights, scaled: scratch, columns: UInt32(channels),
                compression: weights == 0 ? InputStatistics.compression : Self.compression))
        try queue.multiply(
            QuantizeQueue.matrix(scratch, channels, transposed: true), QuantizeQueue.matrix(scratch, channels),
            into: QuantizeQueue.matrix(hessian.address, channels), m: channels, n: channels, k: count, beta: 1)
        tokens += count
    }

    /// The mean squares of the channels over the compressed tokens.
    func meanSquares() throws(CUDAError) -> [Float] {
        let device = queue.pass.stream.device
        let diagonal = try DeviceBuffer<Float>(count: channels, on: device, for: "a layer's statistics")
        try queue.launch(
            queue.kernels.diagonal, threads: channels,
            crumb_quantize_diagonal_args(
                hessian: hessian.address, diagonal: diagonal.address, columns: UInt32(channels), reserved: 0))
        return try queue.pass.stream.download(diagonal.view).map { $0 / Float(max(tokens, 1)) }
    }
}
