import CrumbCPU
import CrumbJSON
import CrumbModel
import CrumbTestSupport
import CrumbThreads
import Testing

/// Attention alone, on contexts longer than the fast backend's blocks of keys (256) and stretches (512).
@Suite struct AttentionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let heads: Int
        let keyValueHeads: Int
        let headDim: Int
        var window = Int.max
        /// Tokens in the cache before.
        let start: Int
        let count: Int
        var element = KVCache.Element.half

        var testDescription: String {
            "\(heads)/\(keyValueHeads) heads of \(headDim), window \(window), \(start) + \(count) tokens, \(element)"
        }
    }

    private static let cases = [
        Case(heads: 3, keyValueHeads: 1, headDim: 64, start: 0, count: 40),
        Case(heads: 3, keyValueHeads: 3, headDim: 40, start: 250, count: 300, element: .float),
        Case(heads: 4, keyValueHeads: 2, headDim: 20, window: 300, start: 500, count: 130),
        Case(heads: 16, keyValueHeads: 1, headDim: 34, window: 7, start: 255, count: 33),
        Case(heads: 2, keyValueHeads: 1, headDim: 320, start: 200, count: 90),
        Case(heads: 2, keyValueHeads: 1, headDim: 320, start: 511, count: 1),
        Case(heads: 6, keyValueHeads: 2, headDim: 64, start: 512, count: 1),
        Case(heads: 6, keyValueHeads: 2, headDim: 26, start: 1100, count: 1, element: .float),
        Case(heads: 4, keyValueHeads: 4, headDim: 32, window: 600, start: 1100, count: 1),
        Case(heads: 4, keyValueHeads: 4, headDim: 32, window: 512, start: 1023, count: 1),
    ]

    @Test(arguments: cases)
    func theFastBackendEqualsTheReference(test: Case) throws {
        let expected = try attend(test, ReferenceBackend())
        let fast = try attend(test, SIMDBackend(pool: ThreadPool(threadCount: 2)))
        // New keys and values may round to the neighbouring half where rotation's last bit differs.
        #expect(largestDifference(fast, expected) <= (test.element == .half ? 2e-4 : 2e-6))
    }

    private func attend(_ test: Case, _ backend: any Backend) throws -> [Float] {
        let configuration = try ModelConfiguration(
            [
                "model_type": "llama", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
                "num_attention_heads": JSONValue(test.heads), "num_key_value_heads": JSONValue(test.keyValueHeads),
                "head_dim": JSONValue(test.headDim), "vocab_size": 8, "max_position_embeddings": 2048,
            ], source: "random")
        var random = SeededGenerator(seed: 5)
        let cache = try KVCache(configuration, capacity: test.start + test.count, element: test.element)
        for matrix in [cache.keys(1), cache.values(1)] {
            for index in 0..<test.start * cache.rowCount {
                let value = random.symmetric()
                switch test.element {
                case .half: matrix.assumingMemoryBound(to: Float16.self)[index] = Float16(value)
                case .float: matrix.assumingMemoryBound(to: Float.self)[index] = value
                }
            }
        }
        cache.advance(by: test.start)
        let batch = try Batch([Int32](repeating: 0, count: test.count), cache: cache)
        let rotary = RotaryTable(configuration)
        rotary.reserve(batch.positionLimit)
        let input = FloatBuffer().matrix(
            rows: test.count, columns: (test.heads + 2 * test.keyValueHeads) * test.headDim)
        for m in 0..<test.count {
            // Scores of a spread of about 3: a few keys dominate, as in real models.
            for i in 0..<input.columns { input.row(m)[i] = 2 * random.symmetric() }
        }
        let output = FloatBuffer().matrix(rows: test.count, columns: test.heads * test.headDim)
        backend.attention(
            AttentionStep(
                layer: 1, runs: batch.runs, queriesKeysValues: input, heads: test.heads,
                keyValueHeads: test.keyValueHeads, headDim: test.headDim, window: test.window, rotary: rotary),
            into: output)
        return output.array
    }
}
