import CrumbEngine
import Testing

struct RandomSourceTests {
    /// From the authors' C code (prng.di.unimi.it, xoshiro256starstar.c and splitmix64.c), seed 42.
    @Test func numbersAreThoseOfTheAuthorsCode() {
        var random = RandomSource(seed: 42)
        let expected: [UInt64] = [
            0x1578_0B2E_0C2E_C716, 0x6104_D986_6D11_3A7E, 0xAE17_5332_39E4_99A1, 0xECB8_AD47_03B3_60A1,
        ]
        #expect((0..<4).map { _ in random.next() } == expected)
    }

    @Test func integersStayBelowTheirBoundAndReachEveryValue() {
        var random = RandomSource(seed: 1)
        var counts = [Int](repeating: 0, count: 7)
        for _ in 0..<7000 { counts[random.integer(below: 7)] += 1 }
        // Five standard deviations around 1000.
        #expect(counts.allSatisfy { abs($0 - 1000) < 150 })
    }

    @Test func uniformNumbersLieFromZeroUpToOne() {
        var random = RandomSource(seed: 2)
        let numbers = (0..<10_000).map { _ in random.uniform() }
        #expect(numbers.allSatisfy { $0 >= 0 && $0 < 1 })
        #expect(abs(numbers.reduce(0, +) / 10_000 - 0.5) < 0.015)
    }

    @Test func streamsOfOneSeedDiffer() {
        var first = RandomSource(seed: 3, stream: 0)
        var second = RandomSource(seed: 3, stream: 1)
        #expect((0..<8).map { _ in first.next() } != (0..<8).map { _ in second.next() })
    }
}
