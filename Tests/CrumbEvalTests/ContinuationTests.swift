import CrumbEngine
import CrumbEval
import Testing

/// A model of ten tokens that always wants the next number after the last token, except where it was told otherwise.
private final class CountingTimeline: Timeline {
    var tokens: [Int32] = []
    let capacity = 200
    /// What comes after how many tokens, in place of the next number.
    let slips: [Int: Int32]
    private let logits = UnsafeMutableBufferPointer<Float>.allocate(capacity: 10)

    init(slips: [Int: Int32]) { self.slips = slips }
    deinit { logits.deallocate() }

    func append(_ tokens: [Int32]) -> UnsafeMutableBufferPointer<Float> {
        self.tokens += tokens
        logits.update(repeating: 0)
        logits[Int(slips[self.tokens.count] ?? (self.tokens[self.tokens.count - 1] + 1) % 10)] = 1
        return logits
    }

    func truncate(to count: Int) { tokens.removeLast(tokens.count - count) }
}

struct ContinuationTests {
    /// - Parameter slips: Tokens in place of the next number, by the position they take.
    private func writer(_ slips: [Int: Int32] = [:], ends: Set<Int32> = []) -> GreedyWriter {
        GreedyWriter(GenerationLoop(timeline: CountingTimeline(slips: slips), endTokens: ends))
    }

    @Test(
        arguments: [
            ([1, 2, 3], false, [1, 2, 3], false, 3, true), ([1, 2, 4], false, [1, 2, 3], false, 2, false),
            ([7], false, [1, 2, 3], false, 0, false), ([1, 2], true, [1, 2, 3], false, 2, false),
            ([1, 2, 3], false, [1, 2], true, 2, false), ([1, 2], true, [1, 2], true, 2, true),
            ([1, 2], false, [1, 2], true, 2, false), ([], true, [], true, 0, true), ([], false, [], true, 0, false),
        ] as [([Int32], Bool, [Int32], Bool, Int, Bool)])
    func `tokens count up to the first difference`(
        model: [Int32], modelEnds: Bool, source: [Int32], sourceEnds: Bool, agreeing: Int, toTheEnd: Bool
    ) {
        let result = ContinuationAgreement.Result(
            GreedyWriter.Continuation(tokens: model, hasEnded: modelEnds),
            source: GreedyWriter.Continuation(tokens: source, hasEnded: sourceEnds))
        #expect(result.agreeing == agreeing)
        #expect(result.toTheEnd == toTheEnd)
        #expect(result.tokens == source.count)
    }

    @Test(
        arguments: [
            // Prompts of two tokens, continuations of six: positions 2 to 7. The first prompt ends at 5, the second at 7.
            ([:], [], [6, 6], [true, true], [6, 6]), ([5: 0], [], [3, 3], [false, false], [6, 6]),
            ([2: 0], [], [0, 0], [false, false], [6, 6]), ([7: 1], [], [5, 5], [false, false], [6, 6]),
            ([:], [6], [3, 1], [true, true], [3, 1]), ([5: 0], [6], [3, 1], [false, true], [3, 1]),
            ([3: 6], [6], [1, 1], [false, true], [3, 1]),
        ] as [([Int: Int32], Set<Int32>, [Int], [Bool], [Int])])
    func `two models agree until one slips`(
        slips: [Int: Int32], ends: Set<Int32>, agreeing: [Int], toTheEnd: [Bool], tokens: [Int]
    ) throws {
        let result = try ContinuationAgreement.measure(
            source: writer(ends: ends), model: writer(slips, ends: ends), prompts: [[1, 2], [3, 4]], limit: 6)
        #expect(result.results.map(\.agreeing) == agreeing)
        #expect(result.results.map(\.toTheEnd) == toTheEnd)
        #expect(result.results.map(\.tokens) == tokens)
    }

    @Test func `a continuation stops when no more is wanted`() throws {
        let found = try writer().write(after: [1], limit: 9) { $0.count < 3 }
        #expect(found == GreedyWriter.Continuation(tokens: [2, 3, 4], hasEnded: false))
        #expect(try writer().write(after: [1], limit: 2).tokens == [2, 3])
    }

    @Test(
        arguments: [
            ([4], 4, 4, 1), ([0, 8], 4, 4, 0.5), ([8, 1, 0], 3, 1, 1.0 / 3), ([8, 2, 0, 3], 3.25, 2.5, 0.25),
            ([], 0, 0, 0),
        ] as [([Int], Double, Double, Double)])
    func `mean, median and share`(agreeing: [Int], mean: Double, median: Double, share: Double) {
        // Those that are the longest agree to the end.
        let longest = agreeing.max() ?? 0
        let results = agreeing.map { count in
            let source = GreedyWriter.Continuation(tokens: Array(repeating: 1, count: longest), hasEnded: false)
            let tokens = Array(repeating: Int32(1), count: count)
            return ContinuationAgreement.Result(
                GreedyWriter.Continuation(tokens: tokens, hasEnded: false), source: source)
        }
        let agreement = ContinuationAgreement(results: results, seconds: 0)
        #expect(abs(agreement.agreeing.mean - mean) < 1e-12)
        #expect(agreement.medianAgreeing == median)
        #expect(abs(agreement.shareToTheEnd - share) < 1e-12)
    }
}

struct ContinuationPromptsTests {
    private let tokens = (0..<200).map { Int32($0) }

    @Test(arguments: [(1, [0]), (2, [0, 100]), (3, [0, 66, 133])] as [(Int, [Int32])])
    func `prompts are cut evenly from a text`(count: Int, starts: [Int32]) throws {
        let prompts = try ContinuationPrompts.cut(tokens, count: count, beginning: nil)
        #expect(prompts.map { $0[0] } == starts)
        for prompt in prompts { #expect(prompt == Array(prompt[0]..<prompt[0] + 64)) }
    }

    @Test func `the beginning token takes the place of the first`() throws {
        let prompts = try ContinuationPrompts.cut(tokens, count: 2, beginning: 7)
        #expect(prompts.map { $0.prefix(2) } == [[7, 1], [7, 101]])
        #expect(prompts.allSatisfy { $0.count == 64 })
    }

    @Test func `a text too short is refused with both numbers`() {
        let error = #expect(throws: EvaluationError.self) {
            try ContinuationPrompts.cut(tokens, count: 4, beginning: nil)
        }
        #expect(error?.description.contains("200 tokens") == true)
        #expect(error?.description.contains("256") == true)
        #expect(throws: EvaluationError.self) { try ContinuationPrompts.spread([1, 2], count: 3) }
    }

    @Test(
        arguments: [
            ("a\nb\n---\nc\n", ["a\nb", "c"]), ("a", ["a"]), ("", []), ("---\n---\n", []),
            ("a\n\n---\n\n  b ---\n", ["a", "\n  b ---"]),
        ] as [(String, [String])])
    func `lines of three dashes stand between prompts`(text: String, prompts: [String]) {
        #expect(ContinuationPrompts.split(text) == prompts)
    }

    @Test func `there are at least 64 built-in prompts, all different, in several scripts`() throws {
        let prompts = ContinuationPrompts.builtIn
        #expect(prompts.count >= 64 && Set(prompts).count == prompts.count)
        #expect(prompts.contains { $0.contains("def ") } && prompts.contains { $0.contains("日") })
        let some = try ContinuationPrompts.spread(prompts, count: 8)
        #expect(some.first == prompts.first && Set(some).count == 8)
    }
}
