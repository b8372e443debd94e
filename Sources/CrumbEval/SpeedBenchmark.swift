import CrumbEngine
import CrumbGPU
package import CrumbModel
package import CrumbThreads

/// Speed of prefill and decode, by the rules of llama-bench: random tokens, an empty cache before each repetition, one
/// unmeasured pass before the first, no sampling. A decoder on a GPU chooses tokens there, and is not waited for.
package struct SpeedBenchmark: Sendable {
    package struct Options: Sendable {
        /// Tokens of the prefill test; 0 leaves it out.
        package var promptTokens: Int
        /// Tokens of the decode test; 0 leaves it out.
        package var generatedTokens: Int
        package var repetitions: Int
        /// Bytes of the buffer that the read bandwidth is measured on; nil takes enough for the machine's caches.
        package var bandwidthBytes: Int?

        package init(
            promptTokens: Int = 512, generatedTokens: Int = 128, repetitions: Int = 5, bandwidthBytes: Int? = nil
        ) {
            self.promptTokens = promptTokens
            self.generatedTokens = generatedTokens
            self.repetitions = repetitions
            self.bandwidthBytes = bandwidthBytes
        }
    }

    /// What one test gave.
    package struct Result: Sendable {
        /// "pp512", "tg128".
        package let test: String
        package let backend: String
        package let threads: Int
        /// One number for each repetition.
        package let tokensPerSecond: RunningMean
        /// Bytes that must be read for one decoded token: weights, and the keys and values before it, on average over
        /// the test. nil for prefill, where a block of tokens shares the reads.
        package let bytesPerToken: Double?

        /// Bytes read in a second of decoding.
        package var bytesPerSecond: Double? { bytesPerToken.map { $0 * tokensPerSecond.mean } }
    }

    package let results: [Result]
    /// "cpu", or the GPU's number and name.
    package let device: String
    package let isOnCard: Bool
    /// Bytes that the same threads, or the card, read in a second from a buffer larger than the caches.
    package let readBytesPerSecond: Double

    /// The share of this machine's read bandwidth that a test used.
    package func share(of result: Result) -> Double? {
        result.bytesPerSecond.map { readBytesPerSecond > 0 ? $0 / readBytesPerSecond : 0 }
    }

    /// Runs the tests.
    ///
    /// - Parameters:
    ///   - beginning: The token that the tokenizer begins texts with, if any.
    ///   - progress: Called before each repetition (on a GPU before each test), and before the bandwidth is measured, with what is done next and the
    ///     share of the work done.
    /// - Throws: `EvaluationError` for options out of range; `ModelError` when there is no memory for a cache;
    ///   `CUDAError` where a GPU fails.
    package static func measure(
        _ decoder: any Decoder, beginning: Int32?, pool: ThreadPool, options: Options = Options(),
        progress: (_ next: String, _ fraction: Double) throws -> Void = { _, _ in }
    ) throws -> SpeedBenchmark {
        let limit = decoder.configuration.maxPositionEmbeddings
        guard options.promptTokens >= 0, options.generatedTokens >= 0, options.repetitions >= 1,
            max(options.promptTokens, options.generatedTokens) <= limit
        else {
            throw EvaluationError(
                "a benchmark of \(options.promptTokens) prompt and \(options.generatedTokens) generated tokens, "
                    + "\(options.repetitions) times, does not fit: tokens go from 0 to the model's context of \(limit), "
                    + "repetitions from 1")
        }
        if let gpu = decoder as? GPUDecoder {
            return try measure(gpu, threads: pool.threadCount, options: options, progress: progress)
        }
        var random = RandomSource(seed: 0)
        let vocabulary = decoder.configuration.vocabSize
        func tokens(_ count: Int) -> [Int32] {
            var tokens = (0..<count).map { _ in Int32(random.integer(below: vocabulary)) }
            if let beginning, count > 0 { tokens[0] = beginning }
            return tokens
        }
        let tests: [Test] = [
            Test(name: "pp\(options.promptTokens)", tokens: options.promptTokens, isDecode: false),
            Test(name: "tg\(options.generatedTokens)", tokens: options.generatedTokens, isDecode: true),
        ].filter { $0.tokens > 0 }

        let steps = Double(tests.count * (options.repetitions + 1) + 1)
        var step = 0.0
        func report(_ next: String) throws {
            try progress(next, step / steps)
            step += 1
        }
        try report("read bandwidth")
        let bandwidth = ReadBandwidth.bytesPerSecond(pool: pool, bufferBytes: options.bandwidthBytes)
        let placement = Placement(decoder)
        var results: [Result] = []
        for test in tests {
            let timeline = try DecoderTimeline(decoder, capacity: test.tokens)
            var speeds = RunningMean()
            for repetition in 0...options.repetitions {
                try report(test.name)
                let input = tokens(test.tokens)
                let seconds = try test.run(timeline, input)
                if repetition > 0 { speeds.add(Double(test.tokens) / seconds) }
            }
            results.append(
                Result(
                    test: test.name, backend: placement.backend, threads: pool.threadCount, tokensPerSecond: speeds,
                    bytesPerToken: test.isDecode ? bytesPerToken(decoder, timeline.cache, tokens: test.tokens) : nil))
        }
        return SpeedBenchmark(
            results: results, device: placement.device, isOnCard: false, readBytesPerSecond: bandwidth)
    }

    private struct Test {
        let name: String
        let tokens: Int
        let isDecode: Bool

        /// Seconds for all tokens, from an empty cache.
        func run(_ timeline: DecoderTimeline, _ input: [Int32]) throws -> Double {
            timeline.truncate(to: 0)
            let block = isDecode ? 1 : GenerationLoop.prefillBlock
            let clock = ContinuousClock()
            let start = clock.now
            for first in stride(from: 0, to: input.count, by: block) {
                _ = try timeline.append(Array(input[first..<min(first + block, input.count)]))
            }
            return start.duration(to: clock.now).seconds
        }
    }

    private static func bytesPerToken(_ decoder: any Decoder, _ cache: any SequenceCache, tokens: Int) -> Double {
        // The token at position p reads p + 1 keys and values.
        Double(decoder.bytesPerToken) + Double(cache.positionBytes) * Double(tokens + 1) / 2
    }
}
