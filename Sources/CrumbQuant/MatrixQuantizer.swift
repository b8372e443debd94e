package import CrumbABI
package import CrumbBLAS
package import CrumbPacked
import CrumbTensor
package import CrumbThreads

/// What rounding did to one matrix on its calibration inputs.
package struct MatrixError: Sendable {
    /// |(W - Q) X|^2 over |W X|^2.
    package var relativeOutputError: Double
    /// |W - Q|^2 over |W|^2.
    package var relativeWeightError: Double

    package init(relativeOutputError: Double, relativeWeightError: Double) {
        self.relativeOutputError = relativeOutputError
        self.relativeWeightError = relativeWeightError
    }
}

/// Quantizes matrices that share one input; knows a matrix and its statistics, never a model.
package struct MatrixQuantizer {
    package let settings: QuantizerSettings
    package let blas: BLAS
    package let pool: ThreadPool

    package init(settings: QuantizerSettings, blas: BLAS, pool: ThreadPool) {
        self.settings = settings
        self.blas = blas
        self.pool = pool
    }

    /// Bytes that quantizing matrices with one input takes at most, beyond statistics and factor.
    package static func workingBytes(shapes: [crumb_packed_shape], threads: Int) -> Int {
        let positions = shapes.map(\.orderCount).max() ?? 0
        // A block and, in coordinate descent, two more of its (P, R) arrays.
        let block = RowBlock.byteCount(positions: positions) + 2 * positions * RowBlock.maxRows * 4
        // fp32 weights; codes as bytes, twice while they are handed over; packed records.
        let matrices = shapes.reduce(0) { $0 + $1.n * $1.k * 4 + $1.n * $1.orderCount * 2 + $1.byteCount }
        return block * threads + matrices
    }

    /// A matrix to quantize.
    package struct Source {
        /// For errors.
        package let name: String
        /// (N, K) row-major, in the source's order of channels.
        package let weights: [Float]
        package let shape: crumb_packed_shape

        package init(name: String, weights: [Float], shape: crumb_packed_shape) {
            precondition(weights.count == shape.n * shape.k, "\(weights.count) weights for \(shape.n) x \(shape.k)")
            self.name = name
            self.weights = weights
            self.shape = shape
        }
    }

    /// Codes, scales and outliers for matrices that share an input; `settings` leave the storage packed.
    ///
    /// - Throws: `QuantizationError` when a weight is NaN or beyond half precision, naming matrix, row and column.
    package func quantize(
        _ sources: [Source], order: ChannelOrder, factor: ErrorFactor
    ) throws(QuantizationError) -> [(matrix: QuantizedMatrix, error: MatrixError)] {
        precondition(settings.storage.isPacked, "a variant has no codes to pack")
        let sinks = sources.map { BlockSink(shape: $0.shape) }
        let results = try quantizeRows(sources, order: order, factor: factor) { block, source, firstRow in
            block.store(into: sinks[source], firstRow: firstRow)
        }
        return zip(sinks, results).map { ($0.matrix(outliers: $1.outliers), $1.error) }
    }

    /// What matrices that share an input become, (N, K) in the source's order of channels, whatever the storage.
    ///
    /// - Throws: as `quantize`.
    package func quantizeDense(
        _ sources: [Source], order: ChannelOrder, factor: ErrorFactor
    ) throws(QuantizationError) -> [(weights: [Float], error: MatrixError)] {
        let sinks = sources.map { UnsafeMutableBufferPointer<Float>.allocate(capacity: $0.weights.count) }
        defer { sinks.forEach { $0.deallocate() } }
        let results = try quantizeRows(sources, order: order, factor: factor) { block, source, firstRow in
            block.storeDense(into: sinks[source], firstRow: firstRow, order: order)
            return []
        }
        return zip(sinks, results).map { (Array($0), $1.error) }
    }

    /// Quantizes the rows of matrices block by block.
    ///
    /// - Parameter keep: Takes the rows of a block from `firstRow` on of one source, and returns their outliers; called from
    ///   several threads.
    private func quantizeRows(
        _ sources: [Source], order: ChannelOrder, factor: ErrorFactor,
        keep: (_ block: RowBlock, _ source: Int, _ firstRow: Int) -> [Outlier]
    ) throws(QuantizationError) -> [(outliers: [Outlier], error: MatrixError)] {
        for source in sources { try check(source, order: order, factor: factor) }
        // The rows of all matrices are one list of work, so that no thread waits at the end of a small one.
        let jobs = sources.indices.flatMap { index in
            stride(from: 0, to: sources[index].shape.n, by: RowBlock.maxRows).map { (source: index, firstRow: $0) }
        }
        var results = [BlockResult](repeating: BlockResult(), count: jobs.count)
        results.withUnsafeMutableBufferPointer { results in
            pool.run(count: jobs.count) { index in
                let job = jobs[index]
                let source = sources[job.source]
                let block = RowBlock(
                    shape: source.shape, storage: settings.storage,
                    rows: min(RowBlock.maxRows, source.shape.n - job.firstRow))
                source.weights.withUnsafeBufferPointer { block.load($0, firstRow: job.firstRow, order: order) }
                block.quantize(settings, factor, blas: blas)
                results[index] = block.measure(factor, blas: blas)
                results[index].outliers = keep(block, job.source, job.firstRow)
            }
        }
        return sources.indices.map { index in
            let parts = zip(jobs, results).filter { $0.0.source == index }.map(\.1)
            return (parts.flatMap(\.outliers), BlockResult.error(of: parts))
        }
    }

    private func check(
        _ source: Source, order: ChannelOrder, factor: ErrorFactor
    ) throws(QuantizationError) {
        let shape = source.shape
        precondition(factor.positions == shape.orderCount && order.channels.count == shape.orderCount)
        // Beyond half precision, products with H would leave fp32 as well.
        guard let index = source.weights.firstIndex(where: { !(abs($0) <= 65504) }) else { return }
        throw QuantizationError(
            "row \(index / shape.k), column \(index % shape.k) of \(source.name) is \(source.weights[index]); "
                + "only weights from -65504 to 65504 can be quantized")
    }
}

/// Where the row blocks of one matrix write their results: each its own rows.
private final class BlockSink {
    let codes: UnsafeMutableBufferPointer<UInt8>
    let scaleCodes: UnsafeMutableBufferPointer<UInt8>
    let rowScales: UnsafeMutableBufferPointer<UInt16>
    private let shape: crumb_packed_shape

    init(shape: crumb_packed_shape) {
        self.shape = shape
        codes = .allocate(capacity: shape.n * shape.orderCount)
        scaleCodes = .allocate(capacity: shape.n * shape.orderCount / Int(CRUMB_GROUP))
        rowScales = .allocate(capacity: shape.n * Int(shape.segments) * 2)
        codes.initialize(repeating: 0)
        scaleCodes.initialize(repeating: 0)
        rowScales.initialize(repeating: 0)
    }

    deinit {
        codes.deallocate()
        scaleCodes.deallocate()
        rowScales.deallocate()
    }

    func matrix(outliers: [Outlier]) -> QuantizedMatrix {
        QuantizedMatrix(
            shape: shape, codes: Array(codes), scaleCodes: Array(scaleCodes), rowScales: Array(rowScales),
            outliers: outliers)
    }
}

/// What is known of a row block when it is done: sums over its rows of e^T H e, w^T H w, e^2 and w^2, and its outliers.
private struct BlockResult {
    var output = 0.0
    var signal = 0.0
    var weight = 0.0
    var norm = 0.0
    var outliers: [Outlier] = []

    static func error(of parts: [BlockResult]) -> MatrixError {
        let signal = parts.reduce(0) { $0 + $1.signal }
        let norm = parts.reduce(0) { $0 + $1.norm }
        return MatrixError(
            relativeOutputError: signal > 0 ? parts.reduce(0) { $0 + $1.output } / signal : 0,
            relativeWeightError: norm > 0 ? parts.reduce(0) { $0 + $1.weight } / norm : 0)
    }
}

extension RowBlock {
    /// Reads rows `firstRow ..< firstRow + R` of an (N, K) matrix in permuted order.
    func load(_ source: UnsafeBufferPointer<Float>, firstRow: Int, order: ChannelOrder) {
        for (position, channel) in order.channels.enumerated() where channel != UInt16(CRUMB_PADDING_CHANNEL) {
            for row in 0..<rows { weights[position * rows + row] = source[(firstRow + row) * shape.k + Int(channel)] }
        }
    }

    func quantize(_ settings: QuantizerSettings, _ factor: ErrorFactor, blas: BLAS) {
        chooseGroups(weight: factor.weight)
        chooseRowScales(weight: factor.weight)
        chooseOutliers(weight: factor.weight)
        // Without the outliers the ranges are narrower, and the row scales finer.
        if shape.outliers_per_tile > 0 { chooseRowScales(weight: factor.weight) }
        chooseCodes(factor, feedback: settings.method != .rtn, blas: blas)
        if settings.method == .full { descend(factor, passes: settings.passes, blas: blas) }
    }

    /// The sums of the block; uses `scratch`.
    fileprivate func measure(_ factor: ErrorFactor, blas: BLAS) -> BlockResult {
        let count = positions * rows
        let difference = UnsafeMutablePointer<Float>.allocate(capacity: count)
        defer { difference.deallocate() }
        // Padding channels (weight zero) have codes but no inputs.
        for i in 0..<count { difference[i] = factor.weight[i / rows] > 0 ? weights[i] - quantized[i] : 0 }
        func energy(_ x: UnsafePointer<Float>) -> Double {
            blas.multiply(
                factor.hessian, lda: positions, x, ldb: rows, into: scratch, ldc: rows, m: positions, n: rows,
                k: positions)
            var sum = 0.0
            for i in 0..<count { sum += Double(x[i]) * Double(scratch[i]) }
            return sum
        }
        var result = BlockResult()
        for i in 0..<count {
            result.weight += Double(difference[i]) * Double(difference[i])
            result.norm += Double(weights[i]) * Double(weights[i])
        }
        result.output = energy(difference)
        result.signal = energy(weights)
        return result
    }

    /// Writes codes and scales; returns the outliers with the deltas that bring them to their values.
    fileprivate func store(into sink: BlockSink, firstRow: Int) -> [Outlier] {
        var outliers: [Outlier] = []
        let segments = Int(shape.segments)
        for row in 0..<rows {
            let n = firstRow + row
            for index in 0..<groups {
                sink.scaleCodes[n * groups + index] = UInt8(scaleCodes[index * rows + row]) - UInt8(CRUMB_SCALE_BIAS)
                let top = top(group: index)
                let scale = rowScale(group: index)[row] * scaleCodes[index * rows + row]
                for channel in index * group..<(index + 1) * group {
                    let offset = channel * rows + row
                    sink.codes[n * positions + channel] = UInt8(levels[offset] + top[row])
                    guard isOutlier[offset] != 0 else { continue }
                    let delta = halfBits(quantized[offset] - scale * levels[offset])
                    if delta & 0x7FFF != 0 { outliers.append(Outlier(row: n, position: channel, delta: delta)) }
                }
            }
            for slot in 0..<segments * 2 {
                sink.rowScales[n * segments * 2 + slot] = Float16(rowScales[slot * rows + row]).bitPattern
            }
        }
        return outliers
    }
    /// Writes the block's rows of an (N, K) matrix in the source's order of channels.
    fileprivate func storeDense(into sink: UnsafeMutableBufferPointer<Float>, firstRow: Int, order: ChannelOrder) {
        for (position, channel) in order.channels.enumerated() where channel != UInt16(CRUMB_PADDING_CHANNEL) {
            for row in 0..<rows { sink[(firstRow + row) * shape.k + Int(channel)] = quantized[position * rows + row] }
        }
    }
}
