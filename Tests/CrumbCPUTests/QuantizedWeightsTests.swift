import CrumbCPU
import CrumbModel
import CrumbThreads
import Testing

@Suite struct QuantizedWeightsTests {
    private static let cases = [(1, 8, false), (2, 4, true), (4, 8, true)]

    /// Products expand the weights to fp32, so only the order of additions differs.
    @Test(arguments: cases)
    func prefillEqualsTheReference(segments: Int, headBits: Int, biases: Bool) throws {
        let model = try QuantizedModel(segments: segments, headBits: headBits, biases: biases)
        let expected = try model.run(ReferenceBackend(), block: 45)
        let fast = try model.run(SIMDBackend(pool: ThreadPool(threadCount: 2)), block: 45)
        let worst = largestDifference(fast, expected)
        #expect(worst <= 1e-5)
    }

    /// Matrix-vector kernels round their input to int8 in groups of 32: half of a 127th of the group's largest
    /// activation for each, some 0.5 % of the activations' size, seven times over two layers, and at random.
    @Test(arguments: cases, [1, 9])
    func decodeStaysWithinTheRoundingOfItsInput(sizes: (Int, Int, Bool), block: Int) throws {
        let model = try QuantizedModel(segments: sizes.0, headBits: sizes.1, biases: sizes.2)
        let expected = try model.run(ReferenceBackend(), block: block)
        let fast = try model.run(SIMDBackend(pool: ThreadPool(threadCount: 2)), block: block)
        let worst = largestDifference(fast, expected)
        #expect(worst <= 2e-2)
        #expect(worst > 0)
    }

    /// A batched decode step uses the same kernels as a single one.
    @Test(arguments: cases)
    func aSmallBatchChangesNoBit(segments: Int, headBits: Int, biases: Bool) throws {
        let model = try QuantizedModel(segments: segments, headBits: headBits, biases: biases)
        let forward = DecoderForward(
            model.configuration, weights: model.weights, backend: SIMDBackend(pool: ThreadPool(threadCount: 3)))
        let alone = try model.tokens.prefix(7).map { token in
            try forward.logits(for: Batch([token], cache: KVCache(model.configuration, capacity: 8))).array
        }
        let batch = try Batch(
            model.tokens.prefix(7).map {
                (cache: try KVCache(model.configuration, capacity: 8), tokens: [$0], logits: Batch.Logits.last)
            })
        #expect(try forward.logits(for: batch).array == alone.flatMap { $0 })
    }
}
