import CrumbABI
import CrumbSIMD

/// A packed matrix with random codes, written bit by bit from the layout's description, and its weights.
struct RandomPackedMatrix {
    var shape = crumb_packed_shape()
    var records: [UInt8]
    var order: [UInt16]
    /// (row_tiles x 32, channels) in the order of the matrix, without outliers.
    var weightsWithoutOutliers: [Float]
    /// The outliers alone, in the same shape.
    var outlierWeights: [Float]

    var weights: [Float] { zip(weightsWithoutOutliers, outlierWeights).map { $0 + $1 } }

    var channels: Int { Int(shape.segments * shape.segment_channels) }

    init(rows: Int, columns: Int, segments: Int, segmentChannels: Int, fourBit: Int, outliers: Int, seed: UInt64) {
        var random = Generator(state: seed)
        let channels = segments * segmentChannels
        let rowTiles = (rows + 31) / 32
        let tiles4 = fourBit / 32
        let tiles2 = (segmentChannels - fourBit) / 64
        shape.rows = UInt32(rows)
        shape.columns = UInt32(columns)
        shape.segments = UInt32(segments)
        shape.segment_channels = UInt32(segmentChannels)
        shape.four_bit_channels = UInt32(fourBit)
        shape.outliers_per_tile = UInt32(outliers)
        shape.row_tiles = UInt32(rowTiles)
        let codes2 = tiles4 * 512
        let scales4 = codes2 + tiles2 * 512
        let scales2 = scales4 + tiles4 * 16
        let rowScales = scales2 + tiles2 * 32
        let outliersAt = rowScales + 128
        let recordBytes = (outliersAt + tiles2 * outliers * 4 + 15) / 16 * 16
        shape.codes2_offset = UInt32(codes2)
        shape.scales4_offset = UInt32(scales4)
        shape.scales2_offset = UInt32(scales2)
        shape.row_scales_offset = UInt32(rowScales)
        shape.outliers_offset = UInt32(outliersAt)
        shape.record_bytes = UInt32(recordBytes)

        var sources = (0..<columns).map { UInt16($0) }
        sources.shuffle(using: &random)
        sources += [UInt16](repeating: 0xFFFF, count: channels - columns)
        // Padding lies at the end of segments in real files; here it may be anywhere.
        sources.shuffle(using: &random)
        order = sources

        var bytes = random.bytes(segments * rowTiles * recordBytes)
        var weights = [Float](repeating: 0, count: rowTiles * 32 * channels)
        var deltas = weights
        for segment in 0..<segments {
            for tile in 0..<rowTiles {
                let base = (segment * rowTiles + tile) * recordBytes
                func put16(_ value: UInt16, at offset: Int) {
                    bytes[base + offset] = UInt8(truncatingIfNeeded: value)
                    bytes[base + offset + 1] = UInt8(value >> 8)
                }
                func bits(_ offset: Int, from bit: Int, count: Int) -> Int {
                    // Codes never cross a byte.
                    Int(bytes[base + offset + bit / 8] >> UInt8(bit % 8)) & ((1 << count) - 1)
                }
                let halves = random.halves(64, in: 0.01...0.03)
                for (index, half) in halves.enumerated() { put16(half, at: rowScales + 2 * index) }
                for row in 0..<32 {
                    let g = row % 8
                    let i = row / 8
                    for channel in 0..<segmentChannels {
                        let code: Int
                        let scaleCode: Int
                        let middle: Float
                        if channel < fourBit {
                            let (codeTile, c) = channel.quotientAndRemainder(dividingBy: 32)
                            let word = codeTile * 512 + (g * 4 + c / 8) * 16 + 4 * i
                            code = bits(word, from: 4 * (c % 8 / 2) + 16 * (c % 2), count: 4)
                            scaleCode = bits(scales4 + codeTile * 16 + 2 * g, from: 4 * i, count: 4)
                            middle = 7.5
                        } else {
                            let (codeTile, c) = (channel - fourBit).quotientAndRemainder(dividingBy: 64)
                            let word = codes2 + codeTile * 512 + (g * 4 + c / 16) * 16 + 4 * i
                            code = bits(word, from: 2 * (c % 16 / 2) + 16 * (c % 2), count: 2)
                            scaleCode = bits(scales2 + codeTile * 32 + 4 * g, from: 4 * (4 * (c / 32) + i), count: 4)
                            middle = 1.5
                        }
                        let scale = value(halves[channel < fourBit ? row : 32 + row]) * Float(scaleCode + 1)
                        weights[(tile * 32 + row) * channels + segment * segmentChannels + channel] =
                            scale * (Float(code) - middle)
                    }
                }
                var entry = outliersAt
                for pool in stride(from: 0, to: tiles2 * 64, by: 2048) {
                    let width = min(2048, tiles2 * 64 - pool)
                    let count = width / 64 * outliers
                    // Some entries stay unused: position 0, delta 0.
                    let used = (0..<max(0, count - 3)).map { _ in Int.random(in: 0..<(32 * width), using: &random) }
                    let places = Array(Set(used)).sorted()
                    for index in 0..<count {
                        let place = index < places.count ? places[index] : 0
                        let delta = index < places.count ? random.halves(1)[0] : 0
                        let row = place / width
                        let channel = place % width
                        put16(UInt16(row | channel << 5), at: entry)
                        put16(delta, at: entry + 2)
                        entry += 4
                        deltas[(tile * 32 + row) * channels + segment * segmentChannels + fourBit + pool + channel] +=
                            value(delta)
                    }
                }
            }
        }
        records = bytes
        weightsWithoutOutliers = weights
        outlierWeights = deltas
    }

    /// X (M, columns) in the matrix's channel order, zeros for padding: (M, channels).
    func ordered(_ x: [Float], m: Int) -> [Float] {
        let columns = Int(shape.columns)
        return (0..<m).flatMap { token in
            order.map { $0 == 0xFFFF ? 0 : x[token * columns + Int($0)] }
        }
    }

    /// Shapes that reach every branch: no 4-bit part, no 2-bit part, segments, padding, rows % 32, two pools, and odd
    /// numbers of 4-bit tiles, after which 2-bit tiles lie across the ends of panels.
    static let cases: [RandomPackedMatrix] = [
        .init(rows: 32, columns: 64, segments: 1, segmentChannels: 64, fourBit: 0, outliers: 0, seed: 1),
        .init(rows: 40, columns: 128, segments: 1, segmentChannels: 128, fourBit: 128, outliers: 4, seed: 2),
        .init(rows: 96, columns: 576, segments: 1, segmentChannels: 576, fourBit: 128, outliers: 4, seed: 3),
        .init(rows: 33, columns: 500, segments: 4, segmentChannels: 192, fourBit: 64, outliers: 5, seed: 4),
        .init(rows: 64, columns: 2560, segments: 1, segmentChannels: 2560, fourBit: 64, outliers: 3, seed: 5),
        .init(rows: 40, columns: 600, segments: 1, segmentChannels: 608, fourBit: 32, outliers: 4, seed: 6),
        .init(rows: 32, columns: 96, segments: 1, segmentChannels: 96, fourBit: 96, outliers: 4, seed: 7),
        .init(rows: 64, columns: 2500, segments: 1, segmentChannels: 2528, fourBit: 416, outliers: 2, seed: 8),
        .init(rows: 33, columns: 760, segments: 8, segmentChannels: 96, fourBit: 32, outliers: 3, seed: 9),
        .init(rows: 64, columns: 2816, segments: 8, segmentChannels: 352, fourBit: 96, outliers: 1, seed: 10),
        .init(rows: 40, columns: 11008, segments: 8, segmentChannels: 1376, fourBit: 416, outliers: 4, seed: 11),
    ]
}

extension RandomPackedMatrix: CustomStringConvertible {
    var description: String {
        "\(shape.rows) x \(shape.columns), \(shape.segments) segments of \(shape.segment_channels), "
            + "\(shape.four_bit_channels) 4-bit"
    }
}
