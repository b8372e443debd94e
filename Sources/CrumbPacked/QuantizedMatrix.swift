package import CrumbABI

/// A weight kept in 16 bits: `delta` is added to the dequantized 2-bit value at (row, position).
package struct Outlier: Sendable, Equatable {
    package var row: Int
    /// Permuted position over all segments.
    package var position: Int
    /// IEEE half precision.
    package var delta: UInt16

    package init(row: Int, position: Int, delta: UInt16) {
        self.row = row
        self.position = position
        self.delta = delta
    }
}

/// The numbers of one quantized matrix before they are packed: what a quantizer writes and an unpacker reads.
///
/// Positions are permuted channels over all segments, P = `shape.orderCount` of them.
package struct QuantizedMatrix: Sendable, Equatable {
    package let shape: crumb_packed_shape
    /// (N, P): 0 ... 15 where `isFourBit(position)`, else 0 ... 3.
    package var codes: [UInt8]
    /// (N, P / 32): first-order scales, 0 ... 15.
    package var scaleCodes: [UInt8]
    /// (N, segments, 2): half-precision second-order scales of the 4-bit and of the 2-bit region.
    package var rowScales: [UInt16]
    package var outliers: [Outlier]

    /// Takes arrays of the sizes above.
    package init(
        shape: crumb_packed_shape, codes: [UInt8], scaleCodes: [UInt8], rowScales: [UInt16], outliers: [Outlier]
    ) {
        self.shape = shape
        self.codes = codes
        self.scaleCodes = scaleCodes
        self.rowScales = rowScales
        self.outliers = outliers
    }

    /// All codes and scales zero, no outliers.
    package init(shape: crumb_packed_shape) {
        self.init(
            shape: shape, codes: Array(repeating: 0, count: shape.n * shape.orderCount),
            scaleCodes: Array(repeating: 0, count: shape.n * shape.orderCount / Int(CRUMB_GROUP)),
            rowScales: Array(repeating: 0, count: shape.n * Int(shape.segments) * 2), outliers: [])
    }

    package static func == (left: QuantizedMatrix, right: QuantizedMatrix) -> Bool {
        left.shape.n == right.shape.n && left.shape.k == right.shape.k
            && left.shape.fourBitChannels == right.shape.fourBitChannels
            && left.shape.segments == right.shape.segments
            && left.shape.outliers_per_tile == right.shape.outliers_per_tile
            && left.codes == right.codes && left.scaleCodes == right.scaleCodes && left.rowScales == right.rowScales
            && left.outliers == right.outliers
    }

    /// Whether a permuted position lies in a 4-bit region.
    package func isFourBit(_ position: Int) -> Bool { position % shape.segmentChannels < shape.fourBitChannels }

    /// Writes row `n`, dequantized, in permuted order into `output` of `shape.orderCount` floats, without outliers.
    ///
    /// weight = row scale x (scale code + 1) x (code - 7.5 or 1.5)
    package func dequantizeRow(_ n: Int, into output: UnsafeMutablePointer<Float>) {
        let positions = shape.orderCount
        let group = Int(CRUMB_GROUP)
        for start in stride(from: 0, to: positions, by: group) {
            let fourBit = isFourBit(start)
            let segment = start / shape.segmentChannels
            let rowScale = Float(
                Float16(bitPattern: rowScales[(n * Int(shape.segments) + segment) * 2 + (fourBit ? 0 : 1)]))
            let code = Int(scaleCodes[(n * positions + start) / group]) + Int(CRUMB_SCALE_BIAS)
            let scale = rowScale * Float(code)
            let middle: Float = fourBit ? 7.5 : 1.5
            for position in start..<start + group {
                output[position] = scale * (Float(codes[n * positions + position]) - middle)
            }
        }
    }

    /// The whole matrix as fp32 in the source's order of channels, (N, K) row-major, outliers included.
    package func dequantized(order: ChannelOrder) -> [Float] {
        let positions = shape.orderCount
        var permuted = [Float](repeating: 0, count: shape.n * positions)
        permuted.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for n in 0..<shape.n { dequantizeRow(n, into: base + n * positions) }
        }
        for outlier in outliers {
            permuted[outlier.row * positions + outlier.position] += Float(Float16(bitPattern: outlier.delta))
        }
        var result = [Float](repeating: 0, count: shape.n * shape.k)
        for n in 0..<shape.n {
            for (position, channel) in order.channels.enumerated() where Int(channel) != Int(CRUMB_PADDING_CHANNEL) {
                result[n * shape.k + Int(channel)] = permuted[n * positions + position]
            }
        }
        return result
    }
}
