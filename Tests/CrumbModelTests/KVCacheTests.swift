import CrumbModel
import Testing

@Suite struct KVCacheTests {
    @Test func matricesDoNotOverlap() throws {
        let cache = try KVCache(layers: 3, rowCount: 5, capacity: 7, element: .half)
        let places = (0..<3).flatMap { [cache.keys($0), cache.values($0)] }
        for (a, b) in zip(places, places.dropFirst()) {
            #expect(b - a >= 5 * 7 * 2)
            #expect(UInt(bitPattern: b) % 64 == 0)
        }
        #expect(cache.byteCount >= 3 * 2 * 5 * 7 * 2)
        #expect(cache.rowBytes == 10)
    }

    @Test func lengthFollowsTheTokens() throws {
        let cache = try KVCache(layers: 1, rowCount: 4, capacity: 10, element: .float)
        cache.advance(by: 7)
        cache.truncate(to: 3)
        #expect(cache.length == 3)
    }

    @Test func aCacheThatCannotBeHadIsAnError() {
        let error = #expect(throws: ModelError.self) {
            try KVCache(layers: 1024, rowCount: 1 << 20, capacity: 1 << 40)
        }
        #expect(error?.description.contains("\(1 << 40) positions in 1024 layers") == true)
    }

    @Test func aBatchNumbersItsRows() throws {
        let (first, second) = (
            try KVCache(layers: 1, rowCount: 4, capacity: 10), try KVCache(layers: 1, rowCount: 4, capacity: 10)
        )
        second.advance(by: 4)
        let batch = try Batch([
            (cache: first, tokens: [1, 2, 3], logits: .some(1..<3)), (cache: second, tokens: [7, 8], logits: .last),
        ])
        #expect(batch.tokens == [1, 2, 3, 7, 8])
        #expect(batch.logitRows == [1, 2, 4])
        #expect(batch.runs.map(\.firstRow) == [0, 3])
        #expect(batch.runs.map(\.start) == [0, 4])
        #expect(batch.positionLimit == 6)
        #expect(try Batch([1, 2], cache: first, logits: .none).logitRows.isEmpty)
    }

    @Test func aPromptLongerThanTheContextIsAnError() throws {
        let cache = try KVCache(layers: 1, rowCount: 4, capacity: 10)
        cache.advance(by: 8)
        #expect(try Batch([1, 2], cache: cache).count == 2)
        let error = #expect(throws: ModelError.self) { try Batch([1, 2, 3], cache: cache) }
        #expect(error?.description == "the prompt is longer than the context: 11 tokens, room for 10")
    }
}
