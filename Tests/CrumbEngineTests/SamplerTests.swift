import CrumbEngine
import CrumbJSON
import Testing

struct SamplerTests {
    /// Log probabilities of 0.4, 0.3, 0.15, 0.1, 0.05, in an order that is not sorted, plus a constant.
    private let logits: [Float] = [0.1, 0.4, 0.05, 0.3, 0.15].map { logf32($0) + 3 }

    private func tokens(_ options: SamplingOptions, seen: [Int32] = []) throws -> [Int32] {
        var sampler = try Sampler(options)
        sampler.observe(seen)
        return try sampler.distribution(logits).map(\.token)
    }

    private func options(
        temperature: Double = 1, topK: Int = 0, topP: Double = 1, minP: Double = 0, penalty: Double = 1
    ) -> SamplingOptions {
        SamplingOptions(
            temperature: temperature, topK: topK, topP: topP, minP: minP, repetitionPenalty: penalty, seed: 1)
    }

    @Test func plainSamplingHasTheSoftmaxOfTheLogits() throws {
        let found = try Sampler(options()).distribution(logits)
        #expect(found.map(\.token) == [1, 3, 4, 0, 2])
        for (candidate, expected) in zip(found, [0.4, 0.3, 0.15, 0.1, 0.05]) {
            #expect(abs(candidate.weight - expected) < 1e-6)
        }
    }

    @Test(
        arguments: [(1, [1]), (2, [1, 3]), (4, [1, 3, 4, 0]), (5, [1, 3, 4, 0, 2]), (9, [1, 3, 4, 0, 2])]
            as [(Int, [Int32])])
    func topKKeepsTheMostLikely(k: Int, expected: [Int32]) throws {
        #expect(try tokens(options(topK: k)) == expected)
    }

    @Test(
        arguments: [(0, [1]), (0.39, [1]), (0.41, [1, 3]), (0.84, [1, 3, 4]), (0.86, [1, 3, 4, 0])]
            as [(Double, [Int32])])
    func topPKeepsTheFewestThatReachTheMass(p: Double, expected: [Int32]) throws {
        #expect(try tokens(options(topP: p)) == expected)
    }

    @Test func topPCountsOverWhatTopKLeaves() throws {
        // Of 0.4 and 0.3 the first has 57 % of the mass.
        #expect(try tokens(options(topK: 2, topP: 0.56)) == [1])
        #expect(try tokens(options(topP: 0.56)) == [1, 3])
    }

    @Test(arguments: [(0.1, [1, 3, 4, 0, 2]), (0.2, [1, 3, 4, 0]), (0.5, [1, 3]), (1, [1])] as [(Double, [Int32])])
    func minPIsRelativeToTheMostLikely(p: Double, expected: [Int32]) throws {
        #expect(try tokens(options(minP: p)) == expected)
    }

    @Test func temperatureComesBeforeTopP() throws {
        // Squared, 0.4 has 0.16 / 0.285 = 56 % of the mass.
        #expect(try tokens(options(temperature: 0.5, topP: 0.55)) == [1])
    }

    @Test func repetitionPenaltyDividesPositiveAndMultipliesNegativeLogits() throws {
        var sampler = try Sampler(
            SamplingOptions(temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 2, seed: 1))
        sampler.observe([0, 2])
        let found = try sampler.distribution([2, 1, -1, -2]).sorted { $0.token < $1.token }
        let expected = try Sampler(options()).distribution([1, 1, -2, -2]).sorted { $0.token < $1.token }
        #expect(found == expected)
    }

    @Test func temperatureZeroTakesTheLowestOfEqualMaxima() throws {
        var sampler = try Sampler(.greedy)
        var logits: [Float] = [1, 5, 5, 2]
        #expect(try logits.withUnsafeMutableBufferPointer { try sampler.next($0) } == 1)
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity], [0.0, 0.8])
    func brokenLogitsAreAnErrorThatNamesTheToken(value: Float, temperature: Double) throws {
        let sampler = try Sampler(options(temperature: temperature))
        let error = #expect(throws: EngineError.self) { try sampler.distribution([0, 1, value, 2]) }
        #expect(error?.description.contains("token 2") == true)
    }

    @Test func drawsFollowTheProbabilities() throws {
        var sampler = try Sampler(options())
        var counts = [0, 0, 0, 0, 0]
        let draws = 20_000
        for _ in 0..<draws {
            var logits = logits
            counts[Int(try logits.withUnsafeMutableBufferPointer { try sampler.next($0) })] += 1
        }
        for (count, expected) in zip(counts, [0.1, 0.4, 0.05, 0.3, 0.15]) {
            // Four standard deviations of a binomial share.
            #expect(
                abs(Double(count) / Double(draws) - expected) < 4
                    * (expected * (1 - expected) / Double(draws)).squareRoot())
        }
    }

    @Test func theSameSeedGivesTheSameTokensAndAnotherSeedOthers() throws {
        func draws(_ seed: UInt64) throws -> [Int32] {
            var sampler = try Sampler(.ancestral(seed: seed))
            return try (0..<50).map { _ in
                var logits = logits
                return try logits.withUnsafeMutableBufferPointer { try sampler.next($0) }
            }
        }
        #expect(try draws(7) == draws(7))
        #expect(try draws(7) != draws(8))
    }

    /// The selections that avoid sorting agree with sorting everything, also where many logits are equal.
    @Test(arguments: [1, 2, 3, 7, 40, 299], [1.0, 0.9, 0.5])
    func selectionsAgreeWithSorting(k: Int, p: Double) throws {
        var random = RandomSource(seed: UInt64(k))
        let logits = (0..<300).map { _ in Float(random.integer(below: 40)) / 4 }
        let found = try Sampler(options(topK: k, topP: p)).distribution(logits).map(\.token)
        let sorted = logits.indices.sorted { (-logits[$0], $0) < (-logits[$1], $1) }.prefix(k)
        let weights = sorted.map { exp64(Double(logits[$0])) }
        let total = weights.reduce(0, +)
        var expected: [Int32] = []
        var sum = 0.0
        for (token, weight) in zip(sorted, weights) where sum < p * total * (1 - 1e-12) {
            expected.append(Int32(token))
            sum += weight
        }
        #expect(found == expected)
    }

    @Test(arguments: [
        (SamplingOptions(temperature: -1), "temperature"), (SamplingOptions(temperature: .nan), "temperature"),
        (SamplingOptions(topK: -1), "top-k"), (SamplingOptions(topP: 1.5), "top-p"),
        (SamplingOptions(minP: -0.1), "min-p"), (SamplingOptions(repetitionPenalty: 0), "repetition penalty"),
    ])
    func optionsOutOfRangeAreNamed(options: SamplingOptions, name: String) {
        let error = #expect(throws: EngineError.self) { try Sampler(options) }
        #expect(error?.description.contains(name) == true)
    }
}

struct SamplingDefaultsTests {
    private func read(_ json: String) throws -> SamplingOptions {
        let object = try JSON.parse(json, source: "generation_config.json").object
        return try SamplingOptions(generationConfiguration: object, source: "generation_config.json")
    }

    @Test func aFileWithoutSamplingKeysLeavesTheDefaults() throws {
        #expect(try read(#"{"eos_token_id": 2, "temperature": null}"#) == SamplingOptions())
    }

    @Test func aFileWithSamplingKeysBringsTheOthersDefaultsOfItsMakers() throws {
        let expected = SamplingOptions(temperature: 0.6, topK: 50, topP: 0.9, minP: 0, repetitionPenalty: 1.05)
        let file = #"{"do_sample": true, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.05}"#
        #expect(try read(file) == expected)
    }

    @Test func doSampleFalseIsGreedy() throws {
        #expect(try read(#"{"do_sample": false}"#).temperature == 0)
    }

    @Test(arguments: [#"{"temperature": "hot"}"#, #"{"top_k": 1.5}"#, #"{"top_p": 7}"#])
    func badValuesAreRefusedWithTheFilesName(file: String) {
        let error = #expect(throws: EngineError.self) { try read(file) }
        #expect(error?.description.hasPrefix("generation_config.json: ") == true)
    }
}

private func logf32(_ x: Float) -> Float { Float(log64(Double(x))) }
