import CrumbABI
import CrumbCUDA
import CrumbPacked
import CrumbQuant

/// What comes of a matrix.
extension CardMatrix {
    /// What rounding did to the matrix.
    func error() throws(CUDAError) -> MatrixError {
        let difference = try differences()
        let weight = try dot(difference, difference)
        let norm = try dot(matrix.weights, matrix.weights)
        try multiplyByHessian(difference, into: arrays.image)
        let output = try dot(difference, arrays.image)
        try multiplyByHessian(matrix.weights, into: arrays.image)
        let signal = try dot(matrix.weights, arrays.image)
        return MatrixError(
            relativeOutputError: signal > 0 ? output / signal : 0, relativeWeightError: norm > 0 ? weight / norm : 0)
    }

    private func dot(_ a: UInt64, _ b: UInt64) throws(CUDAError) -> Double {
        let count = Int(CRUMB_QUANTIZE_PARTIALS)
        let stream = queue.pass
        let partials = try DeviceBuffer<Double>(count: count, on: stream.stream.device, for: "a sum")
        try queue.launch(
            queue.kernels.dot, blocks: count,
            crumb_quantize_dot_args(a: a, b: b, partials: partials.address, count: UInt64(positions * rows)))
        return try stream.stream.download(partials.view).reduce(0, +)
    }

    /// The numbers; the weights as they are read back go to `dense`, fp32 [N][K].
    func store(dense: UInt64) throws(CUDAError) -> QuantizedMatrix {
        let pass = queue.pass
        let device = pass.stream.device
        let purpose = "a quantized matrix"
        let codes = try DeviceBuffer<UInt8>(count: rows * positions, on: device, for: purpose)
        let scaleCodes = try DeviceBuffer<UInt8>(count: rows * groups, on: device, for: purpose)
        // Of a variant the dense weights count.
        let capacity =
            shape.rowTiles * Int(shape.segments) * StorageVariant.outliers(in: shape.twoBitChannels, shape)
        let outliers = try DeviceBuffer<crumb_quantize_outlier>(count: capacity, on: device, for: purpose)
        let count = try pass.stream.upload([UInt32(0)], for: purpose)
        try queue.launch(
            queue.kernels.store, threads: rows, times: groups,
            crumb_quantize_store_args(
                matrix: matrix, order: factor.order.address, codes: codes.address, scale_codes: scaleCodes.address,
                outliers: outliers.address, count: count.address, dense: dense, capacity: UInt32(capacity),
                columns: UInt32(shape.k)))
        let slots = 2 * Int(shape.segments)
        let scales = try pass.stream.download(DeviceView<Float>(address: matrix.row_scales, count: slots * rows))
        let found = min(Int(try pass.stream.download(count.view)[0]), capacity)
        let entries = try pass.stream.download(outliers.view[0..<found]).map {
            Outlier(row: Int($0.row), position: Int($0.position), delta: UInt16($0.delta))
        }
        return QuantizedMatrix(
            shape: shape, codes: try pass.stream.download(codes.view),
            scaleCodes: try pass.stream.download(scaleCodes.view),
            rowScales: (0..<rows * slots).map { Float16(scales[$0 % slots * rows + $0 / slots]).bitPattern },
            outliers: entries.sorted { ($0.row, $0.position) < ($1.row, $1.position) })
    }
}
