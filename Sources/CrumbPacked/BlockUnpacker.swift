import CrumbABI
import CrumbTensor

/// The plain reader of the packed layout: the inverse of `BlockPacker`, and the reference for the fast ones.
package enum BlockUnpacker {
    /// Codes, scales and outliers of a packed matrix. Unused outlier entries (delta zero) are left out.
    ///
    /// - Throws: `PackedError` for a row scale or an outlier that is not finite, or an outlier outside its pool: a
    ///   file with such numbers must not reach a kernel.
    package static func unpack(_ matrix: PackedMatrix) throws(PackedError) -> QuantizedMatrix {
        let shape = matrix.shape
        var result = QuantizedMatrix(shape: shape)
        for segment in 0..<Int(shape.segments) {
            for tile in 0..<shape.rowTiles {
                let record = matrix.record(segment: segment, tile: tile)
                try check(record, shape, name: matrix.records.name)
                unpackCodes(record, segment: segment, tile: tile, into: &result)
                unpackOutliers(record, segment: segment, tile: tile, into: &result)
            }
        }
        result.outliers.sort { ($0.row, $0.position) < ($1.row, $1.position) }
        return result
    }

    /// Checks the numbers of every record, without unpacking the codes: any code is valid.
    ///
    /// - Throws: as `unpack`.
    package static func validate(_ matrix: PackedMatrix) throws(PackedError) {
        for segment in 0..<Int(matrix.shape.segments) {
            for tile in 0..<matrix.shape.rowTiles {
                try check(matrix.record(segment: segment, tile: tile), matrix.shape, name: matrix.records.name)
            }
        }
    }

    private static func check(
        _ record: UnsafeRawPointer, _ shape: crumb_packed_shape, name: String
    ) throws(PackedError) {
        for index in 0..<2 * Int(CRUMB_TILE_ROWS) {
            let bits = halfword(record, Int(shape.row_scales_offset) + index * 2)
            guard Float16(bitPattern: bits).isFinite else {
                throw PackedError("\(name) has a row scale that is not finite")
            }
        }
        for pool in shape.outlierPools {
            for entry in pool.entry..<pool.entry + pool.entries {
                let (position, delta) = outlier(record, shape, entry)
                guard Float16(bitPattern: delta).isFinite, Int(position >> 5) < pool.channels else {
                    throw PackedError(
                        "\(name) has an outlier outside its \(pool.channels) channels or one that is not finite")
                }
            }
        }
    }

    private static func unpackCodes(
        _ record: UnsafeRawPointer, segment: Int, tile: Int, into matrix: inout QuantizedMatrix
    ) {
        let shape = matrix.shape
        let positions = shape.orderCount
        let firstRow = tile * Int(CRUMB_TILE_ROWS)
        for row in 0..<min(Int(CRUMB_TILE_ROWS), shape.n - firstRow) {
            let n = firstRow + row
            let rowStart = n * positions + segment * shape.segmentChannels
            for channel in 0..<shape.segmentChannels {
                let place = codePlace(shape, row: row, channel: channel)
                let word = UInt32(littleEndian: record.loadUnaligned(fromByteOffset: place.byte, as: UInt32.self))
                let mask: UInt32 = channel < shape.fourBitChannels ? 15 : 3
                matrix.codes[rowStart + channel] = UInt8(word >> UInt32(place.bit) & mask)
            }
            for group in 0..<shape.segmentChannels / Int(CRUMB_GROUP) {
                let place = scalePlace(shape, row: row, group: group)
                let byte = record.load(fromByteOffset: place.byte, as: UInt8.self)
                matrix.scaleCodes[rowStart / Int(CRUMB_GROUP) + group] = byte >> UInt8(place.bit) & 15
            }
            for region in 0..<2 {
                matrix.rowScales[(n * Int(shape.segments) + segment) * 2 + region] = halfword(
                    record, Int(shape.row_scales_offset) + (region * Int(CRUMB_TILE_ROWS) + row) * 2)
            }
        }
    }

    private static func unpackOutliers(
        _ record: UnsafeRawPointer, segment: Int, tile: Int, into matrix: inout QuantizedMatrix
    ) {
        let shape = matrix.shape
        for pool in shape.outlierPools {
            for entry in pool.entry..<pool.entry + pool.entries {
                let (position, delta) = outlier(record, shape, entry)
                let row = tile * Int(CRUMB_TILE_ROWS) + Int(position & 31)
                guard delta & 0x7FFF != 0, row < shape.n else { continue }
                let channel = shape.fourBitChannels + pool.channel + Int(position >> 5)
                matrix.outliers.append(
                    Outlier(row: row, position: segment * shape.segmentChannels + channel, delta: delta))
            }
        }
    }

    private static func outlier(
        _ record: UnsafeRawPointer, _ shape: crumb_packed_shape, _ entry: Int
    ) -> (position: UInt16, delta: UInt16) {
        let offset = Int(shape.outliers_offset) + entry * MemoryLayout<crumb_outlier>.size
        return (halfword(record, offset), halfword(record, offset + 2))
    }

    private static func halfword(_ record: UnsafeRawPointer, _ offset: Int) -> UInt16 {
        UInt16(littleEndian: record.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
}
