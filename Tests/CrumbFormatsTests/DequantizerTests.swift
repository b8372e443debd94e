import CrumbFormats
import CrumbTensor
import Testing

/// Files of Tests/Vectors.
func vector(_ name: String, file: String = #filePath) throws -> [UInt8] {
    let tests = file.split(separator: "/").dropLast(2).joined(separator: "/")
    return try FileSystem.read("/\(tests)/Vectors/\(name)", limit: 1 << 20)
}

@Suite struct DequantizerTests {
    @Test(arguments: StorageType.allCases.filter { $0.isWeight && $0 != .f32 })
    func `weights equal those of the gguf package to the last bit`(type: StorageType) throws {
        let name = type.rawValue.uppercased()
        let blocks = try vector("ggml/\(name).blocks")
        let expected = try vector("ggml/\(name).f32")
        let count = expected.count / 4
        #expect(count >= 2000)
        var weights = [Float](repeating: -1, count: count)
        weights.withUnsafeMutableBufferPointer { target in
            blocks.withUnsafeBytes { Dequantizer.dequantizeRow(type, $0, count: count, into: target) }
        }
        let wrong = weights.indices.first { index in
            let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(expected[4 * index + $1]) << (8 * UInt32($1)) }
            return weights[index].bitPattern != bits
        }
        #expect(wrong == nil, "weight \(wrong ?? 0) is \(weights[wrong ?? 0])")
    }

    @Test func `every half becomes the single that the language converts it to`() {
        let patterns = (0...UInt16.max).map { $0.littleEndian }
        var weights = [Float](repeating: 0, count: patterns.count)
        weights.withUnsafeMutableBufferPointer { target in
            patterns.withUnsafeBytes { Dequantizer.dequantizeRow(.f16, $0, count: patterns.count, into: target) }
        }
        for pattern in patterns {
            let expected = Float(Float16(bitPattern: pattern))
            let weight = weights[Int(pattern)]
            #expect(weight.bitPattern == expected.bitPattern || (weight.isNaN && expected.isNaN), "pattern \(pattern)")
        }
    }

    @Test func `rows and singles pass through unchanged, at any alignment`() {
        let owner = HeapBuffer(byteCount: 64)
        let values: [Float] = [1, -0.0, .infinity, .leastNonzeroMagnitude, 3, 4]
        for (index, value) in values.enumerated() {
            owner.mutableBytes.storeBytes(of: value.bitPattern, toByteOffset: 2 + 4 * index, as: UInt32.self)
        }
        let tensor = owner.tensor("t", .f32, [2, 3], offset: 2)
        #expect(Dequantizer.dequantize(tensor).map(\.bitPattern) == values.map(\.bitPattern))
        var row = [Float](repeating: 0, count: 3)
        row.withUnsafeMutableBufferPointer { Dequantizer.dequantizeRow(tensor, 1, into: $0) }
        #expect(row.map(\.bitPattern) == values[3...].map(\.bitPattern))
    }
}
