import CrumbEval
import CrumbModel
import CrumbThreads
import Glibc
import Testing

struct PerplexityTests {
    private let pool = ThreadPool(threadCount: 2)

    /// Log probabilities of all positions of a window, by the formulas in double precision.
    private func reference(_ forward: DecoderForward, _ inputs: [Int32]) throws -> [[Double]] {
        let cache = try KVCache(forward.configuration, capacity: inputs.count)
        let logits = try forward.logits(for: Batch(inputs, cache: cache, logits: .all))
        return (0..<logits.rows).map { m in
            let row = (0..<logits.columns).map { Double(logits.row(m)[$0]) }
            let largest = row.max() ?? 0
            let normalizer = largest + log(row.reduce(0) { $0 + exp($1 - largest) })
            return row.map { $0 - normalizer }
        }
    }

    /// Contexts below, at and above the block of 512 tokens and the 128 rows of logits that exist at once.
    @Test(arguments: [4, 5, 64, 512, 513, 700])
    func perplexityIsThatOfTheFormulas(context: Int) throws {
        let forward = try tinyDecoder(seed: 1)
        let tokens = randomTokens(2 * context + 3, seed: 2)
        let windows = try EvaluationWindows(tokens: tokens, beginning: 3, context: context)
        let result = try Perplexity.measure(forward, windows: windows, pool: pool)

        var losses: [Double] = []
        var afterWindows: [Double] = []
        for window in 0..<2 {
            let probabilities = try reference(forward, windows.inputs(window))
            for position in context / 2..<context - 1 {
                losses.append(-probabilities[position][Int(tokens[window * context + position + 1])])
            }
            afterWindows.append(exp(losses.reduce(0, +) / Double(losses.count)))
        }
        let mean = losses.reduce(0, +) / Double(losses.count)
        let square = losses.reduce(0) { $0 + $1 * $1 } / Double(losses.count)
        let error = ((square - mean * mean) / Double(losses.count - 1)).squareRoot() * exp(mean)

        #expect(result.tokens == losses.count)
        #expect(abs(result.value / exp(mean) - 1) < 1e-5)
        #expect(abs(result.standardError / error - 1) < 1e-4)
        #expect(result.afterWindows.count == 2)
        for (found, expected) in zip(result.afterWindows, afterWindows) { #expect(abs(found / expected - 1) < 1e-5) }
    }

    @Test func divergenceIsThatOfTheFormulas() throws {
        let source = try tinyDecoder(seed: 1)
        let other = try tinyDecoder(seed: 5)
        let windows = try EvaluationWindows(tokens: randomTokens(600, seed: 3), beginning: nil, context: 600)
        let result = try Divergence.measure(source: source, quantized: other, windows: windows, pool: pool)

        let p = try reference(source, windows.inputs(0))
        let q = try reference(other, windows.inputs(0))
        var divergences: [Double] = []
        var agreements = 0
        for position in 300..<599 {
            divergences.append(zip(p[position], q[position]).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) })
            if p[position].firstIndex(of: p[position].max()!) == q[position].firstIndex(of: q[position].max()!) {
                agreements += 1
            }
        }
        let mean = divergences.reduce(0, +) / Double(divergences.count)
        #expect(abs(result.divergence.mean / mean - 1) < 1e-4)
        #expect(abs(result.agreement.mean - Double(agreements) / 299) < 1e-9)
        #expect(result.divergence.count == 299)
        let alone = try Perplexity.measure(other, windows: windows, pool: pool)
        #expect(abs(result.quantized.value / alone.value - 1) < 1e-9)
        #expect(abs(result.ratio - result.quantized.value / result.source.value) < 1e-12)
    }

    @Test func aModelDoesNotDivergeFromItself() throws {
        let windows = try EvaluationWindows(tokens: randomTokens(100, seed: 3), beginning: nil, context: 100)
        let result = try Divergence.measure(
            source: tinyDecoder(seed: 1), quantized: tinyDecoder(seed: 1), windows: windows, pool: pool)
        #expect(abs(result.divergence.mean) < 1e-12)
        #expect(result.agreement.mean == 1)
        #expect(result.ratio == 1)
    }

    @Test func vocabulariesOfDifferentSizesCannotBeCompared() throws {
        let windows = try EvaluationWindows(tokens: randomTokens(100, seed: 3), beginning: nil, context: 100)
        #expect(throws: EvaluationError.self) {
            try Divergence.measure(
                source: tinyDecoder(seed: 1), quantized: tinyDecoder(seed: 1, vocabulary: 60), windows: windows,
                pool: pool)
        }
    }

    @Test func tokensOutsideTheVocabularyAreRefusedBeforeTheyAreLookedUp() throws {
        // The last token is a target of the first block but an input of none before it.
        let tokens = randomTokens(512, seed: 3) + [1000] + randomTokens(300, seed: 4)
        let windows = try EvaluationWindows(tokens: tokens, beginning: nil, context: 800)
        #expect(throws: EvaluationError.self) {
            try Perplexity.measure(tinyDecoder(seed: 1), windows: windows, pool: pool)
        }
    }

    @Test func progressEndsAtTheWhole() throws {
        let windows = try EvaluationWindows(tokens: randomTokens(1400, seed: 3), beginning: nil, context: 700)
        var fractions: [Double] = []
        _ = try Perplexity.measure(tinyDecoder(seed: 1), windows: windows, pool: pool) { fractions.append($0.fraction) }
        #expect(fractions == [0.25, 0.5, 0.75, 1])
        fractions = []
        _ = try Divergence.measure(
            source: tinyDecoder(seed: 1), quantized: tinyDecoder(seed: 2), windows: windows, pool: pool
        ) { fractions.append($0.fraction) }
        #expect(fractions.count == 8)
        #expect(fractions.last == 1)
        #expect(fractions == fractions.sorted())
    }
}
