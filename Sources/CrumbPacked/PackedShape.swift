package import CrumbABI

/// Sizes and offsets of the packed layout; `CrumbABI/crumb_packed.h` has the fields and `Docs/Format.md` the picture.
extension crumb_packed_shape {
    /// The shape of an (N, K) matrix, or nil where the numbers do not describe one.
    ///
    /// - Parameters:
    ///   - rows: N, 1 ... 2^24.
    ///   - columns: K, 1 ... 65534 (an order stores channels in 16 bits, and 65535 is padding).
    ///   - segments: 1, 2, 4 or 8; divides K.
    ///   - fourBitChannels: of each segment; a multiple of 32. A segment is padded to the next multiple of 32 that
    ///     leaves a multiple of 64 for the 2-bit region.
    ///   - outliersPerTile: 0 ... 64 for each 2-bit tile of 32 x 64 weights.
    package init?(rows: Int, columns: Int, segments: Int, fourBitChannels: Int, outliersPerTile: Int) {
        guard rows >= 1, rows <= 1 << 24, columns >= 1, columns < Int(CRUMB_PADDING_CHANNEL),
            [1, 2, 4, 8].contains(segments), columns % segments == 0, (0...64).contains(outliersPerTile)
        else { return nil }
        let alignment = Int(CRUMB_CHANNEL_ALIGNMENT)
        guard fourBitChannels >= 0, fourBitChannels <= columns + 2 * alignment, fourBitChannels % alignment == 0 else {
            return nil
        }
        let tile = Int(CRUMB_TILE2_CHANNELS)
        let twoBit = max(columns / segments - fourBitChannels, 0)
        let segmentChannels = fourBitChannels + (twoBit + tile - 1) / tile * tile
        guard segmentChannels - columns / segments < tile else { return nil }
        let tileBytes = Int(CRUMB_TILE_BYTES)
        let tiles4 = fourBitChannels / Int(CRUMB_TILE4_CHANNELS)
        let tiles2 = (segmentChannels - fourBitChannels) / Int(CRUMB_TILE2_CHANNELS)
        let tileRows = Int(CRUMB_TILE_ROWS)
        let codes2 = tiles4 * tileBytes
        let scales4 = codes2 + tiles2 * tileBytes
        let scales2 = scales4 + tiles4 * Int(CRUMB_TILE4_SCALE_BYTES)
        let rowScales = scales2 + tiles2 * Int(CRUMB_TILE2_SCALE_BYTES)
        let outliers = rowScales + 2 * tileRows * 2
        let record = (outliers + tiles2 * outliersPerTile * MemoryLayout<crumb_outlier>.size + 15) / 16 * 16
        self.init(
            rows: UInt32(rows), columns: UInt32(columns), segments: UInt32(segments),
            segment_channels: UInt32(segmentChannels), four_bit_channels: UInt32(fourBitChannels),
            outliers_per_tile: UInt32(outliersPerTile), row_tiles: UInt32((rows + tileRows - 1) / tileRows),
            codes2_offset: UInt32(codes2), scales4_offset: UInt32(scales4), scales2_offset: UInt32(scales2),
            row_scales_offset: UInt32(rowScales), outliers_offset: UInt32(outliers), record_bytes: UInt32(record))
    }

    /// N: output features.
    package var n: Int { Int(rows) }
    /// K: input features.
    package var k: Int { Int(columns) }
    /// Input features of one segment, without padding.
    package var segmentColumns: Int { Int(columns) / Int(segments) }
    /// Channels of a segment with padding, a multiple of 32.
    package var segmentChannels: Int { Int(segment_channels) }
    /// 4-bit channels of a segment: the first of its order.
    package var fourBitChannels: Int { Int(four_bit_channels) }
    /// 2-bit channels of a segment, padding included.
    package var twoBitChannels: Int { Int(segment_channels - four_bit_channels) }
    /// Channels of all segments, padding included: the length of the order.
    package var orderCount: Int { Int(segments * segment_channels) }
    /// 2-bit tiles of 64 channels in a segment.
    package var twoBitTiles: Int { twoBitChannels / Int(CRUMB_TILE2_CHANNELS) }
    /// Records of 32 rows in a segment.
    package var rowTiles: Int { Int(row_tiles) }
    /// Bytes of one record.
    package var recordBytes: Int { Int(record_bytes) }
    /// Bytes of all records.
    package var byteCount: Int { Int(segments) * Int(row_tiles) * Int(record_bytes) }

    /// The pools of outliers of one record: first 2-bit channel, channels, first entry, entries.
    package var outlierPools: [(channel: Int, channels: Int, entry: Int, entries: Int)] {
        let width = Int(CRUMB_OUTLIER_CHANNELS)
        return stride(from: 0, to: twoBitChannels, by: width).map { channel in
            let channels = min(width, twoBitChannels - channel)
            let perChannel = Int(outliers_per_tile)
            return (
                channel, channels, channel / Int(CRUMB_TILE2_CHANNELS) * perChannel,
                channels / Int(CRUMB_TILE2_CHANNELS) * perChannel
            )
        }
    }
}
