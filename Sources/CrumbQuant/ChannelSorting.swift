package import CrumbABI
package import CrumbPacked

extension ChannelOrder {
    /// The order that puts the channels of each segment in falling order of the Hessian's diagonal, padding last,
    /// for matrices of `shape`.
    ///
    /// Sorting by sensitivity makes the 4-bit region a prefix of every row and groups channels of like importance; it
    /// is the largest single gain in accuracy at equal bits. Ties keep the source's order.
    ///
    /// - Parameter meanSquares: The Hessian's diagonal, K numbers.
    package static func sorted(by meanSquares: [Float], shape: crumb_packed_shape) -> ChannelOrder {
        let segments = Int(shape.segments)
        let columns = shape.segmentColumns
        var channels: [UInt16] = []
        for segment in 0..<segments {
            let range = segment * columns..<(segment + 1) * columns
            let falling = range.map { (meanSquares[$0], $0) }.sorted { left, right in
                left.0 != right.0 ? left.0 > right.0 : left.1 < right.1
            }
            channels += falling.map { UInt16($0.1) }
            channels += Array(repeating: UInt16(CRUMB_PADDING_CHANNEL), count: shape.segmentChannels - columns)
        }
        return ChannelOrder(channels)
    }
}
