import CrumbEngine
import CrumbFormats
import CrumbTensor
import CrumbThreads
import Testing

struct WeightScanTests {
    private static let (rows, columns) = (5, 512)

    /// A matrix of zeros with an infinite fp16 number at a byte of the second block of row 3.
    private func matrix(_ type: StorageType, infinityAt offset: Int?) throws -> TensorView {
        let byteCount = try #require(type.byteCount(of: Self.rows * Self.columns))
        let buffer = HeapBuffer(byteCount: byteCount)
        buffer.mutableBytes.initializeMemory(as: UInt8.self, repeating: 0)
        if let offset {
            let block = 3 * (byteCount / Self.rows) + type.blockBytes
            buffer.mutableBytes.storeBytes(of: 0x7C00, toByteOffset: block + offset, as: UInt16.self)
        }
        return buffer.tensor("matrix", type, [Self.rows, Self.columns])
    }

    @Test(arguments: StorageType.allCases.filter { $0.isWeight && $0.blockWeights > 1 })
    func everyScaleOfABlockTypeIsLookedAtAndNothingElse(type: StorageType) throws {
        let scan = WeightScan(pool: ThreadPool(threadCount: 1))
        #expect(scan.firstBadRow(try matrix(type, infinityAt: nil)) == nil)
        var scales = 0
        for offset in stride(from: 0, to: type.blockBytes - 1, by: 2) {
            let matrix = try matrix(type, infinityAt: offset)
            // What dequantizes to a number that is not finite has a bad scale there; codes always give finite ones.
            let isScale = Dequantizer.dequantize(matrix).contains { !$0.isFinite }
            #expect(scan.firstBadRow(matrix) == (isScale ? 3 : nil), "byte \(offset)")
            if isScale { scales += 1 }
        }
        #expect(scales >= 1)
    }
}
