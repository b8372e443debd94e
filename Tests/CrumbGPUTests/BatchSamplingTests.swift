import CrumbCUDA
import CrumbEngine
import CrumbGPU
import CrumbModel
import CrumbThreads
import Testing

extension EmulatedCardTests {
    @Suite struct BatchSamplingTests {
        @Test func `all sequences drawn at once share a cache, and one launch of a layer attends for them`() throws {
            let gpu = try SmallModel().pair().gpu
            let before = EmulatedCard.state.alive.count
            let starts = BatchSampling.Starts(candidates: [7], endTokens: [])
            var made: [Int] = []
            let sequences = try #require(
                try BatchSampling(sequences: 5, tokens: 6, seed: 1).draw(
                    gpu, starts: starts, pool: ThreadPool(threadCount: 1)
                ) { _ in
                    made.append(EmulatedCard.state.alive.count - before)
                    return false
                })
            #expect(sequences.count == 5 && sequences.allSatisfy { $0.count == 6 && $0[0] == 7 })
            #expect(Set(sequences).count > 1)
            // Before the first step there is nothing new but the cache, in one piece.
            #expect(made.first == 1)
            let launches = EmulatedCard.state.launches.filter { $0.key.hasPrefix("attention_decode") }
            #expect(launches.values.reduce(0, +) == 5 * gpu.configuration.numHiddenLayers, "\(launches)")
        }

        @Test func `sequences of one cache do not see each other`() throws {
            let gpu = try SmallModel().pair().gpu
            func draw(_ sequences: Int) throws -> [[Int32]]? {
                try BatchSampling(sequences: sequences, tokens: 8, seed: 1, temperature: 0).draw(
                    gpu, starts: BatchSampling.Starts(candidates: [7], endTokens: []),
                    pool: ThreadPool(threadCount: 1))
            }
            let one = try #require(try draw(1))
            #expect(try draw(4) == [[Int32]](repeating: one[0], count: 4))
        }
    }
}
