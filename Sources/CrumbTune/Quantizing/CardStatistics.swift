import CrumbABI
import CrumbCUDA
import CrumbQuant

/// The second moments of a matrix's input on the card; see `InputStatistics`, whose numbers these are.
final class CardStatistics {
    let channels: Int
    private(set) var tokens = 0
    /// fp32 [K][K].
    private let hessian: DeviceBuffer<Float>
    var address: UInt64 { hessian.address }
    private let queue: QuantizeQueue

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
    ///   - weights: What each counts for, fp32 [count]; 0 where its size says that.
    ///   - scratch: Room for as many numbers as the inputs have.
    func add(_ inputs: UInt64, weights: UInt64, count: Int, scratch: UInt64) throws(CUDAError) {
        try queue.launch(
            queue.kernels.compress, blocks: count,
            crumb_quantize_compress_args(
                input: inputs, weights: weights, scaled: scratch, columns: UInt32(channels),
                compression: weights == 0 ? InputStatistics.compression : 0))
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
