import CrumbThreads
import Testing

@Suite struct ThreadPoolTests {
    /// Short loops right after each other: threads join, come late, or sleep meanwhile.
    @Test(arguments: [1, 2, 3, 8])
    func everyIndexRunsOnce(threads: Int) {
        let pool = ThreadPool(threadCount: threads)
        let counts = UnsafeMutablePointer<Int>.allocate(capacity: 16)
        counts.initialize(repeating: 0, count: 16)
        defer { counts.deallocate() }
        var expected = [Int](repeating: 0, count: 16)
        for round in 0..<20_000 {
            let count = round % 17
            pool.run(count: count) { index in
                // Long enough, at times, for other threads to join.
                var sum = 0
                for step in 0..<(round % 5) * 100 { sum &+= step ^ index }
                counts[index] += sum == .min ? 0 : 1
            }
            for index in 0..<count { expected[index] += 1 }
        }
        #expect(Array(UnsafeBufferPointer(start: counts, count: 16)) == expected)
    }

    @Test(arguments: [1, 3]) func `results come in order, or the first index's error`(threads: Int) {
        struct Failure: Error, Equatable { let index: Int }
        let pool = ThreadPool(threadCount: threads)
        #expect(pool.map(count: 100) { 2 * $0 } == (0..<100).map { 2 * $0 })
        #expect(throws: Failure(index: 40)) {
            _ = try pool.map(count: 100) { index throws(Failure) in
                if index >= 40 { throw Failure(index: index) }
                return index
            }
        }
    }
}
