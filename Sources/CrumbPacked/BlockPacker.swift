import CrumbABI
package import CrumbTensor

/// The only writer of the packed layout. Golden bytes in the tests pin what it writes.
package enum BlockPacker {
    /// The records of a quantized matrix, `shape.byteCount` bytes.
    ///
    /// Rows beyond N in the last tile have codes, scales and row scales of zero: they dequantize to zero.
    /// - Throws: `PackedError` when a pool has more outliers than its entries.
    package static func pack(_ matrix: QuantizedMatrix) throws(PackedError) -> HeapBuffer {
        let shape = matrix.shape
        let buffer = HeapBuffer(byteCount: shape.byteCount)
        guard let base = buffer.mutableBytes.baseAddress else { return buffer }
        for segment in 0..<Int(shape.segments) {
            for tile in 0..<shape.rowTiles {
                let record = base + (segment * shape.rowTiles + tile) * shape.recordBytes
                packCodes(matrix, segment: segment, tile: tile, into: record)
            }
        }
        try packOutliers(matrix, into: base)
        return buffer
    }

    private static func packCodes(
        _ matrix: QuantizedMatrix, segment: Int, tile: Int, into record: UnsafeMutableRawPointer
    ) {
        let shape = matrix.shape
        let positions = shape.orderCount
        let firstRow = tile * Int(CRUMB_TILE_ROWS)
        for row in 0..<min(Int(CRUMB_TILE_ROWS), shape.n - firstRow) {
            let n = firstRow + row
            let rowStart = n * positions + segment * shape.segmentChannels
            for channel in 0..<shape.segmentChannels {
                let code = UInt32(matrix.codes[rowStart + channel])
                let place = codePlace(shape, row: row, channel: channel)
                let word = record + place.byte
                let old = word.loadUnaligned(as: UInt32.self)
                word.storeBytes(of: old | code << UInt32(place.bit), as: UInt32.self)
            }
            for group in 0..<shape.segmentChannels / Int(CRUMB_GROUP) {
                let code = matrix.scaleCodes[rowStart / Int(CRUMB_GROUP) + group]
                let place = scalePlace(shape, row: row, group: group)
                let byte = record + place.byte
                byte.storeBytes(of: byte.load(as: UInt8.self) | code << UInt8(place.bit), as: UInt8.self)
            }
            for region in 0..<2 {
                let scale = matrix.rowScales[(n * Int(shape.segments) + segment) * 2 + region]
                let place = record + Int(shape.row_scales_offset) + (region * Int(CRUMB_TILE_ROWS) + row) * 2
                place.storeBytes(of: scale.littleEndian, as: UInt16.self)
            }
        }
    }

    /// Entries of a pool are sorted by row, then channel; unused entries stay zero.
    private static func packOutliers(
        _ matrix: QuantizedMatrix, into base: UnsafeMutableRawPointer
    ) throws(PackedError) {
        let shape = matrix.shape
        let pools = shape.outlierPools
        var used = [Int](repeating: 0, count: Int(shape.segments) * shape.rowTiles * max(pools.count, 1))
        let sorted = matrix.outliers.sorted { ($0.row, $0.position) < ($1.row, $1.position) }
        for outlier in sorted {
            let segment = outlier.position / shape.segmentChannels
            let channel = outlier.position % shape.segmentChannels - shape.fourBitChannels
            let tile = outlier.row / Int(CRUMB_TILE_ROWS)
            let pool = channel / Int(CRUMB_OUTLIER_CHANNELS)
            let counter = (segment * shape.rowTiles + tile) * pools.count + pool
            guard channel >= 0, pool < pools.count, used[counter] < pools[pool].entries else {
                throw PackedError(
                    "row \(outlier.row), position \(outlier.position) has no room for an outlier: its pool is full "
                        + "or not 2-bit")
            }
            let record = base + (segment * shape.rowTiles + tile) * shape.recordBytes
            let entry = pools[pool].entry + used[counter]
            let place = record + Int(shape.outliers_offset) + entry * MemoryLayout<crumb_outlier>.size
            let position = UInt16(
                outlier.row % Int(CRUMB_TILE_ROWS) | (channel - pools[pool].channel) << 5)
            place.storeBytes(of: position.littleEndian, as: UInt16.self)
            (place + 2).storeBytes(of: outlier.delta.littleEndian, as: UInt16.self)
            used[counter] += 1
        }
    }
}

/// Byte offset in a record, and bit in the 32-bit word there, of the code of `row` and segment channel `channel`.
func codePlace(_ shape: crumb_packed_shape, row: Int, channel: Int) -> (byte: Int, bit: Int) {
    if channel < shape.fourBitChannels {
        let width = Int(CRUMB_TILE4_CHANNELS)
        let place = TileLayout.fourBit(row: row, channel: channel % width)
        return (channel / width * Int(CRUMB_TILE_BYTES) + place.byte, place.bit)
    }
    let width = Int(CRUMB_TILE2_CHANNELS)
    let inRegion = channel - shape.fourBitChannels
    let place = TileLayout.twoBit(row: row, channel: inRegion % width)
    return (Int(shape.codes2_offset) + inRegion / width * Int(CRUMB_TILE_BYTES) + place.byte, place.bit)
}

/// Byte offset in a record, and bit in that byte, of the scale of `row` and the segment's channel group `group`.
func scalePlace(_ shape: crumb_packed_shape, row: Int, group: Int) -> (byte: Int, bit: Int) {
    let groups4 = shape.fourBitChannels / Int(CRUMB_GROUP)
    if group < groups4 {
        let place = TileLayout.fourBitScale(row: row)
        return (Int(shape.scales4_offset) + group * Int(CRUMB_TILE4_SCALE_BYTES) + place.byte, place.bit)
    }
    let inRegion = group - groups4
    let place = TileLayout.twoBitScale(row: row, group: inRegion % 2)
    return (Int(shape.scales2_offset) + inRegion / 2 * Int(CRUMB_TILE2_SCALE_BYTES) + place.byte, place.bit)
}
