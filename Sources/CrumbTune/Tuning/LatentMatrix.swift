package import CrumbABI
package import CrumbPacked

/// A quantized matrix as numbers that can be moved: a latent weight behind each code, a latent scale behind each scale
/// code. Rounding them gives the matrix back. Row scales and which weights are outliers stay as they are.
///
/// Letters as in `QuantizedMatrix`: N rows, P positions.
package struct LatentMatrix: Sendable {
    package let shape: crumb_packed_shape
    /// (N, P): rounded to the group's grid; an outlier's is its value.
    package var weights: [Float]
    /// (N, P / 32): rounded to row scale x (1 ... 16).
    package var scales: [Float]
    /// (N, segments, 2): of the 4-bit and of the 2-bit region.
    package let rowScales: [Float]
    /// (N, P / 32): bit c for channel c of the group.
    package let outliers: [UInt32]

    /// How far from a level, in scales, a latent weight begins at most: a little less than half, so that it rounds to
    /// the code it came from.
    private static let reach: Float = 0.45

    /// The latent numbers of a quantized matrix: each weight of the source, drawn to where it rounds to its code.
    ///
    /// - Parameters:
    ///   - order: Of the input channels, `shape.orderCount` entries.
    ///   - readRow: Writes row n of the source's matrix, K numbers in the source's order.
    package init(
        _ matrix: QuantizedMatrix, order: ChannelOrder, readRow: (Int, UnsafeMutablePointer<Float>) -> Void
    ) {
        let shape = matrix.shape
        let (positions, group) = (shape.orderCount, Int(CRUMB_GROUP))
        var weights = [Float](repeating: 0, count: shape.n * positions)
        var scales = [Float](repeating: 0, count: shape.n * positions / group)
        var outliers = [UInt32](repeating: 0, count: scales.count)
        let rowScales = matrix.rowScales.map { Float(Float16(bitPattern: $0)) }
        var source = [Float](repeating: 0, count: shape.k)
        for n in 0..<shape.n {
            source.withUnsafeMutableBufferPointer { readRow(n, $0.baseAddress.unsafelyUnwrapped) }
            for first in stride(from: 0, to: positions, by: group) {
                let index = (n * positions + first) / group
                let region = Region(shape, position: first)
                let rowScale = rowScales[(n * Int(shape.segments) + region.segment) * 2 + region.index]
                let scale = rowScale * Float(Int(matrix.scaleCodes[index]) + Int(CRUMB_SCALE_BIAS))
                scales[index] = scale
                for position in first..<first + group {
                    let level = Float(matrix.codes[n * positions + position]) - region.top
                    let channel = order.channels[position]
                    guard channel != UInt16(CRUMB_PADDING_CHANNEL) else { continue }
                    let reach = Self.reach * scale
                    let rest = source[Int(channel)] - level * scale
                    weights[n * positions + position] = level * scale + max(-reach, min(reach, rest))
                }
            }
        }
        for outlier in matrix.outliers {
            let index = outlier.row * positions + outlier.position
            let level = Float(matrix.codes[index]) - Region(shape, position: outlier.position).top
            weights[index] = level * scales[index / group] + Float(Float16(bitPattern: outlier.delta))
            outliers[index / group] |= 1 << UInt32(outlier.position % group)
        }
        self.init(shape: shape, weights: weights, scales: scales, rowScales: rowScales, outliers: outliers)
    }

    init(shape: crumb_packed_shape, weights: [Float], scales: [Float], rowScales: [Float], outliers: [UInt32]) {
        self.shape = shape
        self.weights = weights
        self.scales = scales
        self.rowScales = rowScales
        self.outliers = outliers
    }

    /// The matrix that the latent numbers round to; what the kernel tune_step does, in the same arithmetic.
    package func rounded() -> QuantizedMatrix {
        let (positions, group) = (shape.orderCount, Int(CRUMB_GROUP))
        var result = QuantizedMatrix(shape: shape)
        result.rowScales = rowScales.map { Float16($0).bitPattern }
        for n in 0..<shape.n {
            for first in stride(from: 0, to: positions, by: group) {
                let index = (n * positions + first) / group
                let region = Region(shape, position: first)
                let rowScale = rowScales[(n * Int(shape.segments) + region.segment) * 2 + region.index]
                let multiple = rowScale > 0 ? max(1, min(16, (scales[index] / rowScale).rounded(.toNearestOrEven))) : 1
                result.scaleCodes[index] = UInt8(multiple) - UInt8(CRUMB_SCALE_BIAS)
                let scale = rowScale * multiple
                for position in first..<first + group {
                    let weight = weights[n * positions + position]
                    let x = scale > 0 ? max(-region.top, min(region.top, weight / scale)) : -0.5
                    let level = (x - 0.5).rounded(.toNearestOrEven) + 0.5
                    result.codes[n * positions + position] = UInt8(level + region.top)
                    guard outliers[index] >> UInt32(position - first) & 1 == 1 else { continue }
                    // What fp16 does not hold would be refused by every reader.
                    let delta = max(-65504, min(65504, weight - scale * level))
                    result.outliers.append(
                        Outlier(row: n, position: position, delta: Float16(delta).bitPattern))
                }
            }
        }
        result.outliers.removeAll { $0.delta & 0x7FFF == 0 }
        return result
    }

    /// Where a group lies.
    private struct Region {
        let segment: Int
        /// 0 for 4 bits, 1 for 2.
        let index: Int
        /// The highest level of the grid, which is symmetric.
        let top: Float

        init(_ shape: crumb_packed_shape, position: Int) {
            segment = position / shape.segmentChannels
            let isFour = position % shape.segmentChannels < shape.fourBitChannels
            index = isFour ? 0 : 1
            top = isFour ? 7.5 : 1.5
        }
    }
}
