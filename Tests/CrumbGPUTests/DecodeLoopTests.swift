import CrumbCUDA
import CrumbEngine
import CrumbGPU
import CrumbModel
import CrumbTensor
import Testing

extension EmulatedCardTests {
    @Suite struct DecodeLoopTests {
        /// A prompt's cache and the token that the host chose after it.
        private func prefill(
            _ gpu: GPUDecoder, _ cache: any SequenceCache, _ sampler: inout Sampler, seed: UInt64
        ) throws -> Int32 {
            let prompt = randomTokens(Int(seed % 7) + 2, seed: seed)
            sampler.observe(prompt)
            return try choose(gpu, cache, &sampler, prompt)
        }

        private func choose(
            _ gpu: GPUDecoder, _ cache: any SequenceCache, _ sampler: inout Sampler, _ tokens: [Int32]
        ) throws -> Int32 {
            let logits = try gpu.logits(for: Batch(tokens, cache: cache))
            return try sampler.next(UnsafeMutableBufferPointer(start: logits.row(0), count: logits.columns))
        }

        /// Tokens by the host's choice from logits, one step after another.
        private func hostTokens(
            _ gpu: GPUDecoder, _ options: SamplingOptions, seed: UInt64, count: Int
        ) throws -> [Int32] {
            var sampler = try Sampler(options)
            let cache = try gpu.makeCache(capacity: 60)
            var tokens = [try prefill(gpu, cache, &sampler, seed: seed)]
            while tokens.count < count { tokens.append(try choose(gpu, cache, &sampler, [tokens[tokens.count - 1]])) }
            return tokens
        }

        static let drawn = SamplingOptions(
            temperature: 0.9, topK: 20, topP: 0.9, minP: 0.02, repetitionPenalty: 1.3, seed: 7)
        static let penalized = SamplingOptions(temperature: 0, topK: 20, repetitionPenalty: 1.3)

        @Test(arguments: [1, 3, 11], [SamplingOptions.greedy, drawn, penalized])
        func `tokens chosen on the card are those that the host would choose`(
            _ sequences: Int, _ options: SamplingOptions
        ) throws {
            let gpu = try SmallModel(segments: 2).pair().gpu
            let caches = try gpu.makeCaches(sequences, capacity: 60)
            let expected = try caches.indices.map { try hostTokens(gpu, options, seed: UInt64($0), count: 20) }
            let starts = try caches.enumerated().map { row, cache in
                var sampler = try Sampler(options)
                let token = try prefill(gpu, cache, &sampler, seed: UInt64(row))
                return RunAheadSequence(cache: cache, token: token, choice: sampler.choice)
            }
            let before = caches.map(\.length)
            let loop = try #require(try gpu.runAhead(starts))
            var tokens = starts.map { [$0.token] }
            for _ in 1..<20 {
                for (row, token) in try loop.next().enumerated() { tokens[row].append(token) }
            }
            try loop.stop()
            #expect(tokens == expected)
            #expect(caches.map(\.length) == before.map { $0 + 19 })
        }

        @Test(arguments: [true, false]) func `a generation is the same as with logits on the host`(
            _ isPacked: Bool
        ) throws {
            let gpu = try SmallModel(isPacked: isPacked, headBits: isPacked ? 8 : 16).pair().gpu
            let decoder = GenerationLoop.TextDecoder(next: { " \($0)" }, finish: { "" })
            // As many as are read from packed codes, like one token later: else numbers differ in the last places.
            let prompt = randomTokens(GPUDecoder.packedTokens, seed: 3)
            var options = GenerationOptions(maxTokens: 30, sampling: .greedy)
            func generate(_ decoder: GenerationLoop.TextDecoder, _ timeline: any Timeline) throws -> Generation {
                try GenerationLoop(timeline: timeline, endTokens: [5]).generate(
                    prompt, options: options, decoder: decoder)
            }
            for sampling in [SamplingOptions.greedy, Self.drawn] {
                options.sampling = sampling
                let ahead = try DecoderTimeline(gpu, capacity: 41)
                let expected = try generate(decoder, HostTimeline(DecoderTimeline(gpu, capacity: 41)))
                for _ in 0..<2 {
                    let result = try generate(decoder, ahead)
                    #expect(result.tokens == expected.tokens && result.finish == expected.finish)
                    #expect(result.decodeSteps == expected.decodeSteps)
                    #expect(ahead.tokens.count == ahead.cache.length)
                }
            }
        }

        @Test func `a full context ends a run, and no step is launched behind it`() throws {
            let gpu = try SmallModel().pair().gpu
            let cache = try gpu.makeCaches(1, capacity: 12)[0]
            try gpu.run(Batch(randomTokens(6, seed: 1), cache: cache))
            let loop = try #require(
                try gpu.runAhead([RunAheadSequence(cache: cache, token: 1, choice: TokenChoice())]))
            for _ in 0..<6 { _ = try loop.next() }
            try loop.stop()
            #expect(cache.length == 12)
        }

        @Test func `a step is recorded once for an arena and a number of sequences`() throws {
            let gpu = try SmallModel().pair().gpu
            let caches = try gpu.makeCaches(2, capacity: 40)
            for round in 0..<3 {
                let loop = try #require(
                    try gpu.runAhead(
                        caches.map { RunAheadSequence(cache: $0, token: Int32(round), choice: TokenChoice()) }))
                _ = try loop.next()
                try loop.stop()
                for cache in caches { cache.truncate(to: 0) }
            }
            #expect(EmulatedCard.state.graphs.count == 1)
        }

        @Test func `a 16-bit model takes more sequences than a packed one, and fewer of them afterwards`() throws {
            let pair = try SmallModel(isPacked: false, headBits: 16, type: .f16).pair()
            #expect(pair.gpu.mostSequences == 256)
            #expect(try SmallModel().pair().gpu.mostSequences == GPUDecoder.stepRows)
            let few = try pair.chosenTokens(sequences: 10, steps: 6)
            let many = try pair.chosenTokens(sequences: 80, steps: 6)
            #expect(many.map { Array($0.prefix(10)) } == few)
            #expect(try pair.chosenTokens(sequences: 10, steps: 6) == few)
            #expect(try pair.largestDistanceFromTop(many) <= 2 * bound)
        }

        @Test func `a broken logit ends the run with an error`() throws {
            var model = SmallModel(isPacked: false, headBits: 16, tied: false, type: .f16)
            model.breaksHead = true
            let gpu = try model.pair().gpu
            let cache = try gpu.makeCaches(1, capacity: 20)[0]
            let loop = try #require(
                try gpu.runAhead([RunAheadSequence(cache: cache, token: 1, choice: TokenChoice())]))
            let error = #expect(throws: ModelError.self) { try loop.next() }
            #expect(error?.description.contains("NaN or infinite") == true)
            #expect(cache.length == 0)
        }

        @Test func `sequences of several arenas, or more than a step has room for, are left to the host`() throws {
            let gpu = try SmallModel().pair().gpu
            func start(_ caches: [any SequenceCache]) throws -> (any RunAhead)? {
                try gpu.runAhead(caches.map { RunAheadSequence(cache: $0, token: 1, choice: TokenChoice()) })
            }
            #expect(try start([gpu.makeCache(capacity: 8), gpu.makeCache(capacity: 8)]) == nil)
            #expect(try start(gpu.makeCaches(65, capacity: 8)) == nil)
            #expect(try start([]) == nil)
        }
    }
}

/// A timeline that leaves every choice to the host.
private final class HostTimeline: Timeline {
    private let base: DecoderTimeline

    init(_ base: DecoderTimeline) { self.base = base }

    var tokens: [Int32] { base.tokens }
    var capacity: Int { base.capacity }
    func append(_ tokens: [Int32]) throws -> UnsafeMutableBufferPointer<Float> { try base.append(tokens) }
    func truncate(to count: Int) { base.truncate(to: count) }
}
