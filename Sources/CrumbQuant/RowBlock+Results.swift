import CrumbABI
import CrumbBLAS
import CrumbPacked
import CrumbTensor

/// Where the row blocks of one matrix write their results: each its own rows.
final class BlockSink {
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
struct BlockResult {
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
    /// The sums of the block; uses `scratch`.
    func measure(_ factor: ErrorFactor, blas: BLAS) -> BlockResult {
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
    func storeDense(into sink: UnsafeMutableBufferPointer<Float>, firstRow: Int, order: ChannelOrder) {
        for (position, channel) in order.channels.enumerated() where channel != UInt16(CRUMB_PADDING_CHANNEL) {
            for row in 0..<rows { sink[(firstRow + row) * shape.k + Int(channel)] = quantized[position * rows + row] }
        }
    }
}
