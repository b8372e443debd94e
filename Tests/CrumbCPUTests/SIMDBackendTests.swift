import CrumbCPU
import CrumbModel
import CrumbThreads
import Testing

@Suite struct SIMDBackendTests {
    // A pool serves one caller at a time, and tests run at the same time.
    private let backend = SIMDBackend(pool: ThreadPool(threadCount: 2))

    @Test(arguments: LogitVector.names)
    func logitsEqualThoseOfTransformers(name: String) throws {
        let vector = try LogitVector(name)
        let worst = vector.worst(try vector.run(backend))
        #expect(worst <= 1e-4)
    }

    @Test(arguments: LogitVector.names)
    func tokenByTokenEqualsTransformers(name: String) throws {
        let vector = try LogitVector(name)
        let worst = vector.worst(try vector.run(backend, blocks: [Int](repeating: 1, count: vector.tokens.count)))
        #expect(worst <= 1e-4)
    }

    @Test(arguments: LogitVector.names)
    func aHalfPrecisionCacheStaysClose(name: String) throws {
        let vector = try LogitVector(name)
        #expect(vector.worst(try vector.run(backend, cache: .half)) <= 1e-3)
        let single = try vector.run(backend, cache: .half, blocks: [Int](repeating: 1, count: vector.tokens.count))
        #expect(vector.worst(single) <= 1e-3)
    }

    /// The kernels of products give the same bits whatever the number of tokens, and attention's blocks of keys lie at
    /// fixed positions.
    @Test(arguments: LogitVector.names, [KVCache.Element.float, .half])
    func theCutOfAPromptChangesNoBit(name: String, element: KVCache.Element) throws {
        let vector = try LogitVector(name)
        let whole = try vector.run(backend, cache: element)
        #expect(try vector.run(backend, cache: element, blocks: [5, 11, 7]) == whole)
    }

    @Test(arguments: LogitVector.names)
    func theNumberOfThreadsChangesNoBit(name: String) throws {
        let vector = try LogitVector(name)
        for blocks in [[23], [7, 9] + [Int](repeating: 1, count: 7)] {
            let one = try vector.run(SIMDBackend(pool: ThreadPool(threadCount: 1)), blocks: blocks)
            let five = try vector.run(SIMDBackend(pool: ThreadPool(threadCount: 5)), blocks: blocks)
            #expect(one == five)
        }
    }

    @Test(arguments: LogitVector.names)
    func sequencesOfABatchAreAsIfAlone(name: String) throws {
        let vector = try LogitVector(name)
        let forward = vector.forward(backend)
        let prompts = [vector.tokens, Array(vector.tokens.reversed()), Array(vector.tokens.prefix(9))]
        var caches: [KVCache] = []
        var alone: [[Float]] = []
        for prompt in prompts {
            let cache = try vector.cache(.half)
            _ = try forward.logits(for: Batch(Array(prompt.dropLast()), cache: cache, logits: .none))
            alone.append(try forward.logits(for: Batch([prompt[prompt.count - 1]], cache: cache)).array)
            cache.truncate(to: prompt.count - 1)
            caches.append(cache)
        }
        let batch = try Batch(
            zip(prompts, caches).map { (cache: $1, tokens: [$0[$0.count - 1]], logits: Batch.Logits.last) })
        let together = try forward.logits(for: batch)
        for (index, expected) in alone.enumerated() {
            #expect(largestDifference(together.slice(rows: index..<index + 1).array, expected) <= 1e-6)
        }
    }

    @Test func aBatchOfPromptsEqualsEachAlone() throws {
        let vector = try LogitVector("llama3-rope")
        let forward = vector.forward(backend)
        let short = Array(vector.tokens.prefix(6))
        let batch = try Batch([
            (cache: vector.cache(), tokens: vector.tokens, logits: .all),
            (cache: vector.cache(), tokens: short, logits: .some(2..<5)),
        ])
        let vocabulary = vector.configuration.vocabSize
        let together = try forward.logits(for: batch).array
        #expect(Array(together.prefix(vector.logits.count)) == (try vector.run(backend)))
        #expect(Array(together.dropFirst(vector.logits.count)) == Array(together[2 * vocabulary..<5 * vocabulary]))
    }
}
