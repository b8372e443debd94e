import CrumbABI

/// Where a number stands inside the tiles of a record; the header `crumb_packed.h` names the sizes.
///
/// A tile is 32 lanes of 16 bytes, lane = g * 4 + t, one for each lane of a GPU warp: as the operand of
/// `mma.m16n8k16`, a lane holds rows g, g + 8, g + 16 and g + 24, one 32-bit word each. Its channels are contiguous:
/// 16 of a 2-bit tile or 8 of a 4-bit tile, even channels in the low half of the word and odd ones in the high half,
/// so that one mask yields a pair of codes in the two halves of a register.
enum TileLayout {
    /// Byte offset of the word, and the bit in it, of row `row` and channel `channel` of a 2-bit tile.
    static func twoBit(row: Int, channel: Int) -> (byte: Int, bit: Int) {
        let lane = (row % 8) * 4 + channel / 16
        let inWord = channel % 16
        return (lane * 16 + row / 8 * 4, inWord / 2 * 2 + inWord % 2 * 16)
    }

    /// Byte offset of the word, and the bit in it, of row `row` and channel `channel` of a 4-bit tile.
    static func fourBit(row: Int, channel: Int) -> (byte: Int, bit: Int) {
        let lane = (row % 8) * 4 + channel / 8
        let inWord = channel % 8
        return (lane * 16 + row / 8 * 4, inWord / 2 * 4 + inWord % 2 * 16)
    }

    /// Byte and bit of the scale of row `row` and channel group `group` (0, 1) of a 2-bit tile: a word for each g.
    static func twoBitScale(row: Int, group: Int) -> (byte: Int, bit: Int) {
        let nibble = group * 4 + row / 8
        return (row % 8 * 4 + nibble / 2, nibble % 2 * 4)
    }

    /// Byte and bit of the scale of row `row` of a 4-bit tile: a half word for each g.
    static func fourBitScale(row: Int) -> (byte: Int, bit: Int) {
        (row % 8 * 2 + row / 8 / 2, row / 8 % 2 * 4)
    }
}
