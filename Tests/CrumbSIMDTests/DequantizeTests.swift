import CrumbSIMD
import Glibc
import Testing

/// Blocks with the values that another implementation reads from them: Scripts/vectors/simd.py.
enum BlockVectors {
    static let types: [crumb_type] = (0...CRUMB_Q6_K.rawValue).map { crumb_type(rawValue: $0) }
    static let blockTypes = Array(types.dropFirst(3))
    static let blocksPerType = 3

    static func load() throws -> [UInt8] {
        let path = "\(#filePath)".split(separator: "/").dropLast(2).joined(separator: "/")
        let file = try #require(fopen("/\(path)/Vectors/simd/blocks.bin", "rb"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        return bytes
    }

    /// Random rows of a type whose half precision fields are small numbers.
    static func randomRows(_ type: crumb_type, rows: Int, k: Int, random: inout Generator) -> [UInt8] {
        let count = rows * k
        switch type {
        case CRUMB_F32: return random.floats(count).flatMap { bytes(of: $0.bitPattern) }
        case CRUMB_F16: return random.halves(count).flatMap { bytes(of: $0) }
        case CRUMB_BF16: return random.floats(count).flatMap { bytes(of: UInt16($0.bitPattern >> 16)) }
        default: break
        }
        let size = crumb_block_bytes(type)
        let offsets: [Int] =
            switch type {
            case CRUMB_Q4_0, CRUMB_Q5_0, CRUMB_Q8_0: [0]
            case CRUMB_Q2_K: [80, 82]
            case CRUMB_Q3_K: [108]
            case CRUMB_Q6_K: [208]
            default: [0, 2]
            }
        var out: [UInt8] = []
        for _ in 0..<count / crumb_block_weights(type) {
            var block = random.bytes(size)
            for offset in offsets {
                block.replaceSubrange(offset..<offset + 2, with: bytes(of: random.halves(1, in: 0.01...0.02)[0]))
            }
            out += block
        }
        return out
    }

    static func bytes<Number: FixedWidthInteger>(of number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }
}

extension KernelTests {
    @Test("Blocks of every GGUF type have the values of the reference reader", arguments: levels)
    func blocks(level: crumb_level) throws {
        let bytes = try BlockVectors.load()
        var at = 0
        for type in BlockVectors.blockTypes {
            let count = BlockVectors.blocksPerType * crumb_block_weights(type)
            let blocks = Array(bytes[at..<at + BlockVectors.blocksPerType * crumb_block_bytes(type)])
            at += blocks.count
            let expected = (0..<count).map { index in
                let start = at + 4 * index
                return Float(
                    bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) })
            }
            at += 4 * count
            var values = [Float](repeating: .nan, count: count)
            CrumbSIMDTests.at(level) { crumb_dequantize_row(type, blocks, &values, count) }
            // Products may be fused or not: a few units in the last place of the larger term.
            expectClose(values, expected.map(Double.init), share: 1e-6, floor: 2e-5)
        }
        #expect(at == bytes.count)
    }

    @Test("Half precision converts exactly in both directions", arguments: levels)
    func halves(level: crumb_level) {
        let all = (0...UInt16.max).map { $0 }
        var floats = [Float](repeating: 0, count: all.count)
        var back = [UInt16](repeating: 0, count: all.count)
        at(level) {
            crumb_from_half(all, all.count, &floats)
            crumb_to_half(floats, all.count, &back)
        }
        for half in all where !value(half).isNaN {
            #expect(floats[Int(half)].bitPattern == value(half).bitPattern)
            #expect(back[Int(half)] == half)
        }
        #expect(all.allSatisfy { !value($0).isNaN || floats[Int($0)].isNaN })
        // Ties, values beside ties, the smallest and too large ones; an odd count for the remainder.
        var random = Generator(state: 31)
        var hard = random.floats(1001, in: -70000...70000) + random.floats(1000, in: -1e-4...1e-4)
        hard += [65519.996, 65520, -65520, .infinity, -.infinity, 0x1p-25, 0x1.000002p-25, 0x1.8p-24, -0.0]
        for half in stride(from: UInt16(0), to: 0x7BFF, by: 97) {
            let tie = (value(half) + value(half + 1)) / 2
            hard += [tie, tie.nextUp, tie.nextDown]
        }
        var rounded = [UInt16](repeating: 0, count: hard.count)
        at(level) { crumb_to_half(hard, hard.count, &rounded) }
        #expect(rounded == hard.map { Float16($0).bitPattern })
    }
}
