import CrumbABI
import CrumbCUDA
import CrumbPacked
import CrumbQuant

/// H in the order of a packed matrix and its factorization H = M D M^T on the card; see `ErrorFactor`.
final class CardFactor {
    let positions: Int
    /// u16 [P].
    let order: DeviceBuffer<UInt16>
    /// H shrunk to its diagonal + damping, and M: fp32 [P][P].
    let hessian, feedback: DeviceBuffer<Float>
    /// D, fp32 [P].
    let importance: DeviceBuffer<Float>

    /// - Throws: `QuantizationError` when H has numbers that are not finite, or cannot be factorized.
    init(
        _ statistics: CardStatistics, meanSquares: [Float], order: ChannelOrder, settings: QuantizerSettings,
        _ queue: QuantizeQueue
    ) throws {
        let size = order.channels.count
        let stream = queue.pass
        let mean = meanSquares.reduce(0) { $0 + Double($1) } / Double(meanSquares.count) * Double(statistics.tokens)
        guard mean.isFinite else {
            throw QuantizationError(
                "the calibration activations of a matrix with \(statistics.channels) inputs are not finite: the source "
                    + "model overflows on this text")
        }
        let unit = mean > 0 ? Float(mean) : 1
        positions = size
        let device = stream.stream.device
        func square() throws(CUDAError) -> DeviceBuffer<Float> {
            try DeviceBuffer<Float>(count: size * size, on: device, for: "the factor of a layer's statistics")
        }
        self.order = try stream.stream.upload(order.channels, for: "a channel order")
        hessian = try square()
        feedback = try square()
        importance = try DeviceBuffer(count: size, on: device, for: "the factor of a layer's statistics")
        let factor = try square()
        var damping = settings.damping * unit
        for _ in 0..<5 {
            try queue.launch(
                queue.kernels.permute, threads: size * size,
                crumb_quantize_permute_args(
                    hessian: statistics.address, order: self.order.address, permuted: hessian.address,
                    reversed: factor.address, columns: UInt32(statistics.channels), positions: UInt32(size),
                    keep: 1 - settings.shrinkage, damping: damping, padding: 1e-6 * unit, reserved: 0))
            if try Self.factorize(factor, size: size, panel: feedback.address, queue) {
                try queue.launch(
                    queue.kernels.unit, threads: size * size,
                    crumb_quantize_unit_args(
                        factor: factor.address, order: self.order.address, feedback: feedback.address,
                        importance: importance.address, positions: UInt32(size), reserved: 0))
                return
            }
            damping *= 10
        }
        throw QuantizationError(
            "the \(size) x \(size) matrix of calibration activations cannot be factorized; use more or more varied "
                + "calibration text")
    }

    /// The lower Cholesky factor of a matrix in place, a block of columns at a time: the block on the diagonal by one
    /// kernel, which also inverts it, the panel below by a product with that inverse, the rest less the panel's square.
    ///
    /// - Parameter panel: Room for P x block numbers.
    /// - Returns: false where it is not positive definite.
    private static func factorize(
        _ matrix: borrowing DeviceBuffer<Float>, size: Int, panel: UInt64, _ queue: QuantizeQueue
    ) throws(CUDAError) -> Bool {
        let block = Int(CRUMB_QUANTIZE_FACTOR_BLOCK)
        let pass = queue.pass
        let inverse = try DeviceBuffer<Float>(count: block * block, on: pass.stream.device, for: "a factor's block")
        let fails = try pass.stream.upload([UInt32(0)], for: "a factor's check")
        for first in stride(from: 0, to: size, by: block) {
            let count = min(block, size - first)
            try queue.launch(
                queue.kernels.cholesky, blocks: 1,
                crumb_quantize_cholesky_args(
                    matrix: matrix.address, inverse: inverse.address, fails: fails.address, positions: UInt32(size),
                    first: UInt32(first), count: UInt32(count), reserved: 0))
            let next = first + count
            let left = size - next
            guard left > 0 else { break }
            try queue.multiply(
                QuantizeQueue.matrix(matrix.address, size, from: next * size + first),
                QuantizeQueue.matrix(inverse.address, block), into: QuantizeQueue.matrix(panel, count), m: left,
                n: count, k: count)
            try queue.launch(
                queue.kernels.panel, threads: left * count,
                crumb_quantize_panel_args(
                    panel: panel, matrix: matrix.address, positions: UInt32(size), first_row: UInt32(next),
                    first_column: UInt32(first), rows: UInt32(left), columns: UInt32(count), reserved: 0))
            try queue.multiply(
                QuantizeQueue.matrix(panel, count), QuantizeQueue.matrix(panel, count, transposed: true),
                into: QuantizeQueue.matrix(matrix.address, size, from: next * size + next), m: left, n: left, k: count,
                alpha: -1, beta: 1)
        }
        return try pass.stream.download(fails.view) == [0]
    }
}
