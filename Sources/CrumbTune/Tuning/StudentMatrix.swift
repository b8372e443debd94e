import CrumbABI
import CrumbCUDA
import CrumbPacked

/// A latent matrix on the card, with what Adam remembers of it.
final class StudentMatrix {
    let shape: crumb_packed_shape
    let order: ChannelOrder
    /// E [N][K]: where the rounded weights are kept for the products.
    private let target: UInt64
    private let weights, weightFirst, weightSecond: DeviceBuffer<Float>
    private let scales, scaleFirst, scaleSecond: DeviceBuffer<Float>
    private let rowScales: DeviceBuffer<Float>
    private let outliers: DeviceBuffer<UInt32>
    private let channels: DeviceBuffer<UInt16>
    private let host: (rowScales: [Float], outliers: [UInt32])

    /// Bytes on the card.
    static func byteCount(_ shape: crumb_packed_shape) -> Int {
        let weights = shape.n * shape.orderCount
        return 12 * weights + 16 * (weights / Int(CRUMB_GROUP)) + 8 * shape.n * Int(shape.segments)
            + 2 * shape.orderCount
    }

    /// Takes the numbers to the card and rounds them.
    init(_ matrix: LatentMatrix, order: ChannelOrder, weights target: UInt64, _ pass: TunePass) throws(CUDAError) {
        func zeros(_ count: Int) throws(CUDAError) -> DeviceBuffer<Float> {
            let buffer = try DeviceBuffer<Float>(count: count, on: pass.stream.device, for: "the optimizer's state")
            try pass.stream.fill(buffer.view)
            return buffer
        }
        shape = matrix.shape
        self.target = target
        weights = try pass.stream.upload(matrix.weights, for: "latent weights")
        weightFirst = try zeros(matrix.weights.count)
        weightSecond = try zeros(matrix.weights.count)
        scales = try pass.stream.upload(matrix.scales, for: "latent scales")
        scaleFirst = try zeros(matrix.scales.count)
        scaleSecond = try zeros(matrix.scales.count)
        rowScales = try pass.stream.upload(matrix.rowScales, for: "row scales")
        outliers = try pass.stream.upload(matrix.outliers, for: "outliers")
        self.order = order
        channels = try pass.stream.upload(order.channels, for: "a channel order")
        host = (matrix.rowScales, matrix.outliers)
        try launch(gradient: 0, rates: TuneRates(), adam: crumb_tune_adam(), pass)
    }

    /// One step of Adam by the gradient of the weights, fp32 [N][K]; the rounded weights follow.
    func step(gradient: UInt64, rates: TuneRates, adam: crumb_tune_adam, _ pass: TunePass) throws(CUDAError) {
        try launch(gradient: gradient, rates: rates, adam: adam, pass)
    }

    private func launch(
        gradient: UInt64, rates: TuneRates, adam: crumb_tune_adam, _ pass: TunePass
    ) throws(CUDAError) {
        try pass.launch(
            pass.kernels.step, blocks: shape.n, rowColumns: shape.k,
            crumb_tune_step_args(
                latents: weights.address, first: weightFirst.address, second: weightSecond.address,
                scales: scales.address, scale_first: scaleFirst.address, scale_second: scaleSecond.address,
                row_scales: rowScales.address, outliers: outliers.address, order: channels.address, gradient: gradient,
                weights: target, columns: UInt32(shape.k), positions: UInt32(shape.orderCount),
                segment_channels: UInt32(shape.segmentChannels), four_bit_channels: UInt32(shape.fourBitChannels),
                code_rate: rates.codes, scale_rate: rates.scales, adam: adam))
    }

    /// The numbers as they are now.
    func download(_ stream: borrowing Stream) throws(CUDAError) -> LatentMatrix {
        LatentMatrix(
            shape: shape, weights: try stream.download(weights.view), scales: try stream.download(scales.view),
            rowScales: host.rowScales, outliers: host.outliers)
    }
}

/// How far a step goes at most, nearly.
package struct TuneRates: Sendable {
    /// In units of a weight's scale.
    package var codes: Float = 0
    /// In units of a scale itself.
    package var scales: Float = 0
    /// Of norms and biases.
    package var vectors: Float = 0

    package init(codes: Float = 0, scales: Float = 0, vectors: Float = 0) {
        self.codes = codes
        self.scales = scales
        self.vectors = vectors
    }

    static func * (rates: TuneRates, factor: Float) -> TuneRates {
        TuneRates(codes: rates.codes * factor, scales: rates.scales * factor, vectors: rates.vectors * factor)
    }
}

/// Plain numbers on the card that are tuned: a norm's weight, a bias.
final class StudentVector {
    private let values, first, second: DeviceBuffer<Float>
    var address: UInt64 { values.address }

    init(_ numbers: [Float], _ stream: borrowing Stream) throws(CUDAError) {
        values = try stream.upload(numbers, for: "norms and biases")
        first = try DeviceBuffer(count: numbers.count, on: stream.device, for: "the optimizer's state")
        second = try DeviceBuffer(count: numbers.count, on: stream.device, for: "the optimizer's state")
        try stream.fill(first.view)
        try stream.fill(second.view)
    }

    func step(gradient: UInt64, rate: Float, adam: crumb_tune_adam, _ pass: TunePass) throws(CUDAError) {
        try pass.launch(
            pass.kernels.adam, threads: values.count,
            crumb_tune_adam_args(
                values: values.address, first: first.address, second: second.address, gradient: gradient,
                count: UInt32(values.count), rate: rate, adam: adam))
    }

    func download(_ stream: borrowing Stream) throws(CUDAError) -> [Float] { try stream.download(values.view) }
}
