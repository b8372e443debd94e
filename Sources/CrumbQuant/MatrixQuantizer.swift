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

    /// Bytes of working memory for a matrix of `positions` channels, beyond weights, statistics and factor.
    package static func workingBytes(shape: crumb_packed_shape, threads: Int) -> Int {
        // A block, and in coordinate descent up to two more of its (P, R) arrays.
        let block = RowBlock.byteCount(positions: shape.orderCount) + 2 * shape.orderCount * RowBlock.maxRows * 4
        return block * threads + shape.n * shape.orderCount * 33 / 32
    }

    /// Codes, scales and outliers for `weights`, (N, K) row-major fp32 in the source's channel order.
    ///
    /// - Throws: `QuantizationError` when a weight is NaN or infinite, naming row and column.
    package func quantize(
        _ weights: UnsafePointer<Float>, shape: crumb_packed_shape, order: ChannelOrder, factor: ErrorFactor
    ) throws(QuantizationError) -> (matrix: QuantizedMatrix, error: MatrixError) {
        precondition(factor.positions == shape.orderCount && order.channels.count == shape.orderCount)
        if let index = (0..<shape.n * shape.k).first(where: { !weights[$0].isFinite }) {
            throw QuantizationError(
                "row \(index / shape.k), column \(index % shape.k) is \(weights[index]); "
                    + "a source with NaN or infinite weights cannot be quantized")
        }
        let blocks = (shape.n + RowBlock.maxRows - 1) / RowBlock.maxRows
        var result = QuantizedMatrix(shape: shape)
        var outliers = [[Outlier]](repeating: [], count: blocks)
        var errors = [(output: Double, signal: Double, weight: Double, norm: Double)](
            repeating: (0, 0, 0, 0), count: blocks)
        result.codes.withUnsafeMutableBufferPointer { codes in
            result.scaleCodes.withUnsafeMutableBufferPointer { scaleCodes in
                result.rowScales.withUnsafeMutableBufferPointer { rowScales in
                    outliers.withUnsafeMutableBufferPointer { outliers in
                        errors.withUnsafeMutableBufferPointer { errors in
                            let sink = BlockSink(codes: codes, scaleCodes: scaleCodes, rowScales: rowScales)
                            pool.run(count: blocks) { index in
                                let first = index * RowBlock.maxRows
                                let block = RowBlock(shape: shape, rows: min(RowBlock.maxRows, shape.n - first))
                                block.load(weights, firstRow: first, order: order)
                                block.quantize(settings, factor, blas: blas)
                                errors[index] = block.measure(factor, blas: blas)
                                outliers[index] = block.store(into: sink, firstRow: first)
                            }
                        }
                    }
                }
            }
        }
        result.outliers = outliers.flatMap { $0 }
        let sum = errors.reduce((0.0, 0.0, 0.0, 0.0)) { ($0.0 + $1.0, $0.1 + $1.1, $0.2 + $1.2, $0.3 + $1.3) }
        let error = MatrixError(
            relativeOutputError: sum.1 > 0 ? sum.0 / sum.1 : 0, relativeWeightError: sum.3 > 0 ? sum.2 / sum.3 : 0)
        return (result, error)
    }
}

/// Where row blocks write their results: each its own rows.
struct BlockSink {
    let codes: UnsafeMutableBufferPointer<UInt8>
    let scaleCodes: UnsafeMutableBufferPointer<UInt8>
    let rowScales: UnsafeMutableBufferPointer<UInt16>
}

extension RowBlock {
    /// Reads rows `firstRow ..< firstRow + R` of an (N, K) matrix in permuted order.
    func load(_ source: UnsafePointer<Float>, firstRow: Int, order: ChannelOrder) {
        for (position, channel) in order.channels.enumerated() where channel != UInt16(CRUMB_PADDING_CHANNEL) {
            for row in 0..<rows { weights[position * rows + row] = source[(firstRow + row) * shape.k + Int(channel)] }
        }
    }

    func quantize(_ settings: QuantizerSettings, _ factor: ErrorFactor, blas: BLAS) {
        chooseRowScales(weight: factor.weight)
        chooseOutliers(weight: factor.weight)
        // Without the outliers the ranges are narrower, and the row scales finer.
        if shape.outliers_per_tile > 0 { chooseRowScales(weight: factor.weight) }
        chooseCodes(factor, feedback: settings.method != .rtn, blas: blas)
        if settings.method == .full { descend(factor, passes: settings.passes, blas: blas) }
    }

    /// Sums of e^T H e, w^T H w, e^2 and w^2 over the rows.
    func measure(_ factor: ErrorFactor, blas: BLAS) -> (output: Double, signal: Double, weight: Double, norm: Double) {
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
        var weight = 0.0
        var norm = 0.0
        for i in 0..<count {
            weight += Double(difference[i]) * Double(difference[i])
            norm += Double(weights[i]) * Double(weights[i])
        }
        return (energy(difference), energy(weights), weight, norm)
    }

    /// Writes codes and scales; returns the outliers with the deltas that bring them to their values.
    func store(into sink: BlockSink, firstRow: Int) -> [Outlier] {
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
                    sink.codes[n * positions + channel] = UInt8(levels[offset] + top)
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
}
