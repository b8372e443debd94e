package import CrumbABI
import CrumbPacked

/// What an experiment changes in how a matrix is stored.
///
/// The packed layout holds the default alone. Any other leaves dense weights, and `byteCount` says what a layout made for
/// it would take: everything that the packed one has beside what is changed.
package struct StorageVariant: Sendable, Equatable {
    /// A group's scale is an fp16 number of its own, in place of a 4-bit code times its row's scale.
    package var hasFirstOrderScales = false
    /// The 4-bit channels have outliers too, the same share in pools of their own.
    package var hasOutliersEverywhere = false
    /// Each row has its own 4-bit groups, in every block of rows as many as `four_bit_channels` are; not with outliers.
    package var choosesGroups = false
    /// Bits of the codes that do not have 4: 2 or 3.
    package var narrowBits = 2

    package init() {}

    /// Whether the packed layout holds it.
    package var isPacked: Bool { self == StorageVariant() }

    /// Largest level of a group that does not have 4 bits.
    package var narrowTop: Float { narrowBits == 3 ? 3.5 : 1.5 }

    /// Bytes of a matrix without its order of channels.
    package func byteCount(_ shape: crumb_packed_shape) -> Int {
        let records = Int(shape.segments) * shape.rowTiles
        let rows = shape.rowTiles * Int(CRUMB_TILE_ROWS)
        let groups = rows * shape.orderCount / Int(CRUMB_GROUP)
        var bytes = shape.byteCount
        // 16 bits for 4, and no scales of rows: two fp16 numbers a row and segment.
        if hasFirstOrderScales { bytes += groups * 12 / 8 - 4 * rows * Int(shape.segments) }
        if hasOutliersEverywhere {
            let entries = Self.outliers(in: shape.fourBitChannels, shape)
            bytes += records * entries * MemoryLayout<crumb_outlier>.size
        }
        // A bit that says whether the group has 4.
        if choosesGroups { bytes += groups / 8 }
        return bytes + (narrowBits - 2) * rows * Int(shape.segments) * shape.twoBitChannels / 8
    }

    /// Outliers of 32 rows of some channels.
    package static func outliers(in channels: Int, _ shape: crumb_packed_shape) -> Int {
        channels * Int(shape.outliers_per_tile) / Int(CRUMB_TILE2_CHANNELS)
    }
}
