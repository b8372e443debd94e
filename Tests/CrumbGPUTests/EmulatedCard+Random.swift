import CrumbABI
import CrumbPacked
import CrumbTestSupport

/// The kernels of Kernels/random_records.cu and Kernels/read_memory.cu.
extension EmulatedCard {
    static var random: [Emulation] {
        [
            emulate("random_records", crumb_random_records_args.self) { a, grid in
                let shape = a.shape
                precondition(grid.x == shape.rowTiles && grid.y == Int(shape.segments))
                for record in 0..<grid.x * grid.y { randomRecord(a, record, tile: record % grid.x) }
            },
            emulate("read_memory", crumb_read_memory_args.self) { a, _ in
                precondition(a.count % UInt64(CRUMB_READ_BLOCK_BYTES) == 0)
                _ = DeviceNumbers<UInt8>(a.bytes)[Int(a.count) - 1]
                state.bytesRead += Int(a.count)
            },
            emulate("random_halves", crumb_random_halves_args.self) { a, _ in
                var random = SeededGenerator(seed: a.seed)
                for index in 0..<Int(a.count) {
                    DeviceNumbers<Float16>(a.output)[index] = Float16(a.center + a.spread * random.symmetric())
                }
            },
            emulate("random_words", crumb_random_words_args.self) { a, _ in
                var random = SeededGenerator(seed: a.seed)
                for index in 0..<Int(a.count) {
                    DeviceNumbers<UInt32>(a.output)[index] = UInt32(truncatingIfNeeded: random.next())
                }
            },
        ]
    }

    private static func randomRecord(_ a: crumb_random_records_args, _ record: Int, tile: Int) {
        let shape = a.shape
        let words = DeviceNumbers<UInt32>(a.records + UInt64(record * shape.recordBytes))
        let (rowScales, outliers) = (Int(shape.row_scales_offset) / 4, Int(shape.outliers_offset) / 4)
        let perTile = Int(shape.outliers_per_tile)
        let rows = min(shape.n - tile * 32, 32)
        for i in 0..<shape.recordBytes / 4 {
            let bits = mixed(a.seed, UInt64(record * (shape.recordBytes / 4) + i))
            var word = UInt32(bits >> 32)
            if i >= outliers {
                let index = i - outliers
                word = 0
                if index < shape.twoBitTiles * perTile {
                    let (pool, inPool) = index.quotientAndRemainder(dividingBy: 32 * perTile)
                    let channels = min(shape.twoBitChannels - pool * 2048, 2048)
                    let row = UInt32(inPool * rows / (channels / 64 * perTile))
                    let channel = UInt32(inPool) &* 65521 % UInt32(channels)
                    word = row | channel << 5 | (UInt32(a.delta) ^ UInt32(bits & 1) << 15) << 16
                }
            } else if i >= rowScales {
                let row = (i - rowScales) * 2 % 32
                let scale = UInt32((i - rowScales) * 2 < 32 ? a.row_scale4 : a.row_scale2)
                word = (row < rows ? scale : 0) | (row + 1 < rows ? scale : 0) << 16
            }
            words[i] = word
        }
    }

    private static func mixed(_ seed: UInt64, _ place: UInt64) -> UInt64 {
        var z = seed &+ (place + 1) &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
