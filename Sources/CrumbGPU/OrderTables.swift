package import CrumbABI
import CrumbPacked

/// A channel order turned round: where each channel stands, and which positions stand for none.
package struct OrderTables: Sendable {
    /// The position of each of K channels.
    package let places: [UInt16]
    /// The place of each channel in a wide input, in the order of packed_matmul's products.
    package let widePlaces: [UInt16]
    /// Ascending.
    package let padding: [Int]

    /// - Parameters:
    ///   - channels: The channel of each position, each of the K channels once, else padding.
    ///   - shape: Of the matrices that have this order.
    package init(_ channels: [UInt16], _ shape: crumb_packed_shape) {
        var places = [UInt16](repeating: 0, count: shape.k)
        var widePlaces = places
        var padding: [Int] = []
        for (position, channel) in channels.enumerated() {
            if channel == UInt16(CRUMB_PADDING_CHANNEL) {
                padding.append(position)
            } else {
                places[Int(channel)] = UInt16(position)
                widePlaces[Int(channel)] = UInt16(Self.widePlace(position, shape))
            }
        }
        self.places = places
        self.widePlaces = widePlaces
        self.padding = padding
    }

    /// Products take channels of a code tile in an order of their own.
    private static func widePlace(_ position: Int, _ shape: crumb_packed_shape) -> Int {
        let inSegment = position % Int(shape.segment_channels)
        let isFour = inSegment < shape.fourBitChannels
        let inRegion = inSegment - (isFour ? 0 : shape.fourBitChannels)
        let inTile = inRegion % Int(isFour ? CRUMB_TILE4_CHANNELS : CRUMB_TILE2_CHANNELS)
        return position - inTile + Int(crumb_matmul_place(UInt32(inTile), isFour ? 1 : 0))
    }
}
