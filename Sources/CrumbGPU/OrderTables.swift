import CrumbABI

/// A channel order turned round: where each channel stands, and which positions stand for none.
package struct OrderTables: Sendable {
    /// The position of each of K channels.
    package let places: [UInt16]
    /// Ascending.
    package let padding: [Int]

    /// - Parameters:
    ///   - channels: The channel of each position, each of the `columns` channels once, else padding.
    ///   - columns: K.
    package init(_ channels: [UInt16], columns: Int) {
        var places = [UInt16](repeating: 0, count: columns)
        var padding: [Int] = []
        for (position, channel) in channels.enumerated() {
            if channel == UInt16(CRUMB_PADDING_CHANNEL) {
                padding.append(position)
            } else {
                places[Int(channel)] = UInt16(position)
            }
        }
        self.places = places
        self.padding = padding
    }
}
