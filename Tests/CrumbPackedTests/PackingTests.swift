import CrumbABI
import CrumbPacked
import CrumbTensor
import CrumbTestSupport
import Testing

/// Shapes that meet every edge: part-filled row tiles, padded channels, no 4-bit region, no 2-bit region, segments,
/// more than one pool of outliers.
struct Shape: Sendable, CustomTestStringConvertible {
    var rows: Int
    var columns: Int
    var segments = 1
    var fourBit: Int
    var outliers: Int
    var testDescription: String { "\(rows)x\(columns)/\(segments), \(fourBit) 4-bit, \(outliers) outliers" }

    static let all = [
        Shape(rows: 32, columns: 64, fourBit: 0, outliers: 0),
        Shape(rows: 33, columns: 128, fourBit: 64, outliers: 4),
        Shape(rows: 96, columns: 576, fourBit: 192, outliers: 4),
        Shape(rows: 5, columns: 100, fourBit: 64, outliers: 1),
        Shape(rows: 64, columns: 512, segments: 4, fourBit: 64, outliers: 2),
        Shape(rows: 40, columns: 256, fourBit: 256, outliers: 0),
        Shape(rows: 33, columns: 1376, fourBit: 96, outliers: 4),
        Shape(rows: 34, columns: 4400, segments: 2, fourBit: 64, outliers: 3),
    ]

    func packed() throws -> crumb_packed_shape {
        try #require(
            crumb_packed_shape(
                rows: rows, columns: columns, segments: segments, fourBitChannels: fourBit, outliersPerTile: outliers))
    }
}

/// A matrix of random codes, scales and outliers of a shape.
func randomMatrix(_ shape: crumb_packed_shape, seed: UInt64) -> QuantizedMatrix {
    var random = SeededGenerator(seed: seed)
    var matrix = QuantizedMatrix(shape: shape)
    for index in matrix.codes.indices {
        let top: UInt8 = matrix.isFourBit(index % shape.orderCount) ? 15 : 3
        matrix.codes[index] = .random(in: 0...top, using: &random)
    }
    for index in matrix.scaleCodes.indices { matrix.scaleCodes[index] = .random(in: 0...15, using: &random) }
    for index in matrix.rowScales.indices { matrix.rowScales[index] = halfBits(.random(in: 0.01...1, using: &random)) }
    for segment in 0..<Int(shape.segments) {
        for tile in 0..<shape.rowTiles {
            for pool in shape.outlierPools {
                var places: Set<Int> = []
                let rowCount = min(32, shape.n - tile * 32)
                while places.count < min(pool.entries, rowCount * pool.channels) {
                    places.insert(.random(in: 0..<rowCount * pool.channels, using: &random))
                }
                for place in places {
                    let channel = shape.fourBitChannels + pool.channel + place % pool.channels
                    matrix.outliers.append(
                        Outlier(
                            row: tile * 32 + place / pool.channels,
                            position: segment * shape.segmentChannels + channel,
                            delta: halfBits(.random(in: 0.5...2, using: &random))))
                }
            }
        }
    }
    matrix.outliers.sort { ($0.row, $0.position) < ($1.row, $1.position) }
    return matrix
}

@Suite struct PackingTests {
    @Test("unpacking what was packed gives the same codes, scales and outliers", arguments: Shape.all)
    func roundTrip(_ shape: Shape) throws {
        let matrix = randomMatrix(try shape.packed(), seed: 7)
        #expect(!matrix.outliers.isEmpty || shape.outliers == 0)
        let packed = try pack(matrix)
        #expect(try BlockUnpacker.unpack(packed) == matrix)
    }

    @Test("records are 16-byte aligned and sized as the format document says")
    func sizes() throws {
        let shape = try Shape(rows: 96, columns: 576, fourBit: 192, outliers: 4).packed()
        #expect(shape.codes2_offset == 6 * 512)
        #expect(shape.scales4_offset == 12 * 512)
        #expect(shape.scales2_offset == 12 * 512 + 6 * 16)
        #expect(shape.row_scales_offset == 12 * 512 + 6 * 16 + 6 * 32)
        #expect(shape.outliers_offset == shape.row_scales_offset + 128)
        #expect(shape.record_bytes == shape.outliers_offset + 6 * 4 * 4)
        #expect(shape.record_bytes % 16 == 0)
        #expect(shape.byteCount == 3 * Int(shape.record_bytes))
    }

    @Test("one weight lands in the byte and bits that the format document says")
    func goldenPlaces() throws {
        var matrix = QuantizedMatrix(shape: try Shape(rows: 32, columns: 128, fourBit: 64, outliers: 1).packed())
        // Row 13 = g 5, word 1. Channel 41 of the 4-bit region: tile 1, t = 1, channel 1 of the word: bit 16.
        matrix.codes[13 * 128 + 41] = 0xB
        // Channel 64 + 37 of the 2-bit region: tile 0, t = 2, channel 5 of the word: bits 4 + 16.
        matrix.codes[13 * 128 + 64 + 37] = 3
        matrix.scaleCodes[13 * 4 + 1] = 0x9  // second 4-bit tile: half word g = 5, nibble 1
        matrix.scaleCodes[13 * 4 + 3] = 0x6  // 2-bit tile, group 1: word g = 5, nibble 5
        matrix.rowScales[13 * 2] = 0x3C00
        matrix.outliers = [Outlier(row: 13, position: 64 + 37, delta: 0x4200)]
        let buffer = try BlockPacker.pack(matrix)
        let bytes = withExtendedLifetime(buffer) { Array(buffer.bytes) }
        var expected = [UInt8](repeating: 0, count: Int(matrix.shape.record_bytes))
        expected[512 + (5 * 4 + 1) * 16 + 4 + 2] = 0x0B
        expected[1024 + (5 * 4 + 2) * 16 + 4 + 2] = 0x30
        expected[1536 + 16 + 5 * 2] = 0x90
        expected[1536 + 32 + 5 * 4 + 2] = 0x60
        expected[1536 + 64 + 13 * 2 + 1] = 0x3C
        let position = UInt16(13 | 37 << 5)
        expected[1536 + 64 + 128] = UInt8(position & 0xFF)
        expected[1536 + 64 + 128 + 1] = UInt8(position >> 8)
        expected[1536 + 64 + 128 + 3] = 0x42
        // Places only: a failure must not print every byte.
        #expect(bytes.indices.filter { bytes[$0] != expected[$0] } == [])
    }

    @Test("a pool with more outliers than entries is refused")
    func fullPool() throws {
        var matrix = QuantizedMatrix(shape: try Shape(rows: 32, columns: 64, fourBit: 0, outliers: 1).packed())
        matrix.outliers = [Outlier(row: 0, position: 0, delta: 1), Outlier(row: 1, position: 0, delta: 1)]
        #expect(throws: PackedError.self) { try BlockPacker.pack(matrix) }
    }

    @Test("a record with a row scale or an outlier that is not finite, or out of its pool, is refused")
    func hostileRecords() throws {
        let matrix = randomMatrix(try Shape(rows: 33, columns: 128, fourBit: 64, outliers: 4).packed(), seed: 3)
        let shape = matrix.shape
        for (offset, bits) in [
            (Int(shape.row_scales_offset), UInt16(0x7C00)), (Int(shape.outliers_offset) + 2, 0x7E00),
            (Int(shape.outliers_offset), 64 << 5),
        ] {
            let buffer = try BlockPacker.pack(matrix)
            buffer.mutableBytes.storeBytes(of: bits, toByteOffset: offset, as: UInt16.self)
            let hostile = try PackedMatrix(
                shape: shape, records: buffer.tensor("w", .u8, [shape.byteCount]), order: identity(shape))
            #expect(throws: PackedError.self) { try BlockUnpacker.validate(hostile) }
        }
    }

    @Test(
        "shapes that cannot be are refused",
        arguments: [
            Shape(rows: 0, columns: 64, fourBit: 0, outliers: 0),
            Shape(rows: 1, columns: 70000, fourBit: 0, outliers: 0),
            Shape(rows: 1, columns: 64, fourBit: 16, outliers: 0),
            Shape(rows: 1, columns: 64, fourBit: 128, outliers: 0),
            Shape(rows: 1, columns: 66, segments: 4, fourBit: 0, outliers: 0),
            Shape(rows: 1, columns: 64, segments: 3, fourBit: 0, outliers: 0),
            Shape(rows: 1, columns: 64, fourBit: 0, outliers: 65),
        ])
    func impossibleShapes(_ shape: Shape) {
        #expect(
            crumb_packed_shape(
                rows: shape.rows, columns: shape.columns, segments: shape.segments, fourBitChannels: shape.fourBit,
                outliersPerTile: shape.outliers) == nil)
    }

    @Test("an order that repeats, leaves out or moves a channel over a segment's border is refused")
    func hostileOrders() throws {
        let good = (0..<128).map { UInt16($0) }
        let shape = try Shape(rows: 1, columns: 128, segments: 2, fourBit: 0, outliers: 0).packed()
        #expect(throws: Never.self) { try ChannelOrder.validated(good, shape: shape).get() }
        var repeated = good
        repeated[3] = 4
        var crossing = good
        crossing.swapAt(3, 100)
        for bad in [repeated, crossing, Array(good.dropLast()), good.map { _ in UInt16.max }] {
            #expect(throws: PackedError.self) { try ChannelOrder.validated(bad, shape: shape).get() }
        }
    }

    private func identity(_ shape: crumb_packed_shape) -> ChannelOrder {
        ChannelOrder((0..<shape.orderCount).map { $0 < shape.k ? UInt16($0) : UInt16(CRUMB_PADDING_CHANNEL) })
    }

    private func pack(_ matrix: QuantizedMatrix) throws -> PackedMatrix {
        let shape = matrix.shape
        let buffer = try BlockPacker.pack(matrix)
        return try PackedMatrix(
            shape: shape,
            records: buffer.tensor("w", .u8, [Int(shape.segments), shape.rowTiles, shape.recordBytes]),
            order: identity(shape))
    }
}
