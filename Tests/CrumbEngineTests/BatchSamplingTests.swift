import CrumbEngine
import CrumbModel
import CrumbThreads
import Testing

struct BatchSamplingTests {
    @Test func sequencesStartAtTheBeginningAndHaveAllTheirTokens() throws {
        let sequences = try #require(try TinyFolder().load().sampleBatch(sequences: 3, tokens: 20, seed: 1))
        #expect(sequences.map(\.count) == [20, 20, 20])
        #expect(sequences.allSatisfy { $0[0] == 256 })
        #expect(Set(sequences).count == 3)
    }

    @Test func aModelWithoutABeginningStartsWithOrdinaryTokens() throws {
        let model = try TinyFolder(addsBOS: false).load()
        #expect(model.sequenceStarts.candidates == Array(0..<256))
        let sequences = try #require(try model.sampleBatch(sequences: 8, tokens: 2, seed: 1))
        #expect(Set(sequences.map { $0[0] }).count > 1)
        #expect(sequences.allSatisfy { $0[0] < 256 })
    }

    @Test func endTokensAreReplacedByNewStarts() throws {
        let model = try TinyFolder().load()
        // With most tokens ending a text, starts must follow each other.
        let starts = BatchSampling.Starts(candidates: [256], endTokens: Set(0..<250))
        let sequences = try #require(
            try BatchSampling(sequences: 2, tokens: 40, seed: 1).draw(model.forward, starts: starts, pool: model.pool))
        #expect(sequences.joined().allSatisfy { $0 >= 250 })
        #expect(sequences[0].filter { $0 == 256 }.count > 20)
    }

    @Test func theSeedAloneDecidesWhateverTheNumberOfThreads() throws {
        let model = try TinyFolder().load()
        func draw(seed: UInt64, threads: Int) throws -> [[Int32]]? {
            try BatchSampling(sequences: 5, tokens: 16, seed: seed)
                .draw(model.forward, starts: model.sequenceStarts, pool: ThreadPool(threadCount: threads))
        }
        let once = try draw(seed: 4, threads: 1)
        #expect(try draw(seed: 4, threads: 3) == once)
        #expect(try draw(seed: 5, threads: 1) != once)
    }

    @Test func temperatureZeroFollowsTheMostLikelyTokens() throws {
        let model = try TinyFolder().load()
        let sequences = try #require(try model.sampleBatch(sequences: 2, tokens: 8, seed: 1, temperature: 0))
        #expect(sequences[0] == sequences[1])
        let options = GenerationOptions(maxTokens: 7, sampling: .greedy, ignoresEnd: true)
        #expect(try model.complete("", options: options).tokens == Array(sequences[0].dropFirst()))
    }

    @Test func cancellationGivesNothing() throws {
        let model = try TinyFolder().load()
        #expect(try model.sampleBatch(sequences: 1, tokens: 10, seed: 1) { $0 > 0.5 } == nil)
    }

    @Test(arguments: [(0, 5), (2, 0), (2, 257), (5000, 5)])
    func numbersOutOfRangeAreRefused(sequences: Int, tokens: Int) throws {
        let model = try TinyFolder().load()
        #expect(throws: EngineError.self) { try model.sampleBatch(sequences: sequences, tokens: tokens, seed: 1) }
    }
}
