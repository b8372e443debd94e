import CrumbEval
import CrumbModel
import CrumbThreads
import Testing

struct SpeedBenchmarkTests {
    private let pool = ThreadPool(threadCount: 1)

    @Test func everyTestIsRunAsOftenAsAsked() throws {
        let options = SpeedBenchmark.Options(
            promptTokens: 20, generatedTokens: 10, repetitions: 3, bandwidthBytes: 32 << 20)
        var fractions: [Double] = []
        let forward = try tinyDecoder(seed: 1)
        let benchmark = try SpeedBenchmark.measure(forward, beginning: 1, pool: pool, options: options) { _, fraction in
            fractions.append(fraction)
        }
        #expect(benchmark.results.map(\.test) == ["pp20", "tg10"])
        #expect(benchmark.results.allSatisfy { $0.tokensPerSecond.count == 3 && $0.tokensPerSecond.mean > 0 })
        #expect(benchmark.results.map(\.backend) == ["reference", "reference"])
        // The bandwidth, and one unmeasured pass and three measured ones of two tests.
        #expect(fractions.count == 9)
        #expect(benchmark.readBytesPerSecond > 1e8)
    }

    @Test func bytesOfADecodedTokenAreWeightsAndTheMeanCache() throws {
        let options = SpeedBenchmark.Options(
            promptTokens: 0, generatedTokens: 9, repetitions: 1, bandwidthBytes: 32 << 20)
        let forward = try tinyDecoder(seed: 1)
        let benchmark = try SpeedBenchmark.measure(forward, beginning: nil, pool: pool, options: options)
        let result = try #require(benchmark.results.first)
        #expect(result.test == "tg9")
        // Keys and values of 2 layers, 16 features of 2 bytes, read from 1 ... 9 positions.
        let cache = 2 * 2 * 16 * 2 * 5
        #expect(result.bytesPerToken == Double(forward.weights.bytesPerToken + cache))
        let share = try #require(benchmark.share(of: result))
        #expect(abs(share * benchmark.readBytesPerSecond / (result.bytesPerSecond ?? 0) - 1) < 1e-9)
    }

    @Test(arguments: [(-1, 1, 1), (1, 4000, 1), (1, 1, 0)])
    func benchmarksThatDoNotFitAreRefused(prompt: Int, generated: Int, repetitions: Int) {
        let options = SpeedBenchmark.Options(
            promptTokens: prompt, generatedTokens: generated, repetitions: repetitions)
        #expect(throws: EvaluationError.self) {
            try SpeedBenchmark.measure(tinyDecoder(seed: 1), beginning: nil, pool: pool, options: options)
        }
    }
}
