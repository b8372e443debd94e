import CrumbEngine
import Testing

/// A model of ten tokens that always wants the next number after the last token, 9 being followed by 0.
private final class CountingTimeline: Timeline {
    var tokens: [Int32] = []
    let capacity: Int
    /// How many tokens each pass took in.
    var passes: [Int] = []
    private let logits = UnsafeMutableBufferPointer<Float>.allocate(capacity: 10)

    init(capacity: Int) { self.capacity = capacity }
    deinit { logits.deallocate() }

    func append(_ tokens: [Int32]) -> UnsafeMutableBufferPointer<Float> {
        precondition(self.tokens.count + tokens.count <= capacity)
        self.tokens += tokens
        passes.append(tokens.count)
        logits.update(repeating: 0)
        logits[Int((self.tokens[self.tokens.count - 1] + 1) % 10)] = 5
        return logits
    }

    func truncate(to count: Int) { tokens.removeLast(tokens.count - count) }
}

struct GenerationLoopTests {
    private let timeline = CountingTimeline(capacity: 2000)

    /// Tokens read as their digits; the digit 6 only comes out together with the 7 after it.
    private var digits: GenerationLoop.TextDecoder {
        var held = ""
        return GenerationLoop.TextDecoder(
            next: { token in
                held += "\(token)"
                if token == 6 { return "" }
                defer { held = "" }
                return held
            },
            finish: {
                defer { held = "" }
                return held
            })
    }

    private func generate(
        _ prompt: [Int32], maxTokens: Int? = nil, stops: [String] = [], ends: Set<Int32> = [], ignoresEnd: Bool = false,
        timeline: (any Timeline)? = nil, isCancelled: () -> Bool = { false }
    ) throws -> (generation: Generation, pieces: [String]) {
        let options = GenerationOptions(
            maxTokens: maxTokens, stopStrings: stops, sampling: .greedy, ignoresEnd: ignoresEnd)
        var pieces: [String] = []
        let loop = GenerationLoop(timeline: timeline ?? self.timeline, endTokens: ends)
        let generation = try loop.generate(
            prompt, options: options, decoder: digits, isCancelled: isCancelled, onText: { pieces.append($0) })
        return (generation, pieces)
    }

    @Test func anAnswerHasAtMostTheTokensAskedFor() throws {
        let (generation, pieces) = try generate([1, 2], maxTokens: 3)
        #expect(generation.tokens == [3, 4, 5])
        #expect(generation.text == "345")
        #expect(pieces == ["3", "4", "5"])
        #expect(generation.finish == .maxTokens)
        #expect(generation.promptTokens == 2)
        // The first token comes out of the prompt's pass.
        #expect(generation.decodeSteps == 2)
    }

    @Test func noTokensGiveAnEmptyAnswer() throws {
        let (generation, _) = try generate([1], maxTokens: 0)
        #expect(generation.text == "")
        #expect(generation.finish == .maxTokens)
    }

    @Test func anEndTokenEndsTheAnswerAndIsNoPartOfIt() throws {
        let (generation, _) = try generate([1], ends: [5])
        #expect(generation.tokens == [2, 3, 4])
        #expect(generation.finish == .endOfText)
        #expect(try generate([1], maxTokens: 6, ends: [5], ignoresEnd: true).generation.tokens == [2, 3, 4, 5, 6, 7])
    }

    @Test func aStopStringOverSeveralTokensEndsTheAnswer() throws {
        let (generation, pieces) = try generate([0], stops: ["345"])
        #expect(generation.text == "12")
        #expect(generation.finish == .stopString)
        #expect(pieces == ["1", "2"])
    }

    @Test func textThatTheDecoderHeldBackComesOutAtTheEnd() throws {
        let (generation, _) = try generate([3], maxTokens: 3)
        #expect(generation.tokens == [4, 5, 6])
        #expect(generation.text == "456")
    }

    @Test func anAnswerEndsWhereTheContextIsFull() throws {
        let (generation, _) = try generate([1, 2], timeline: CountingTimeline(capacity: 5))
        // Three positions for answer tokens, and one more token that needs no position.
        #expect(generation.tokens == [3, 4, 5, 6])
        #expect(generation.finish == .contextFull)
    }

    @Test func aPromptLongerThanTheContextIsAnErrorWithBothNumbers() {
        let error = #expect(throws: EngineError.self) {
            try generate([Int32](repeating: 1, count: 8), timeline: CountingTimeline(capacity: 8))
        }
        #expect(error?.description.contains("8 tokens") == true)
    }

    @Test func anEmptyPromptIsAnError() {
        #expect(throws: EngineError.self) { try generate([]) }
    }

    @Test func aLongPromptIsTakenInInBlocks() throws {
        _ = try generate([Int32](repeating: 1, count: 1100), maxTokens: 1)
        #expect(timeline.passes == [512, 512, 76])
    }

    @Test func theCommonBeginningWithTheLastPromptIsNotRunAgain() throws {
        _ = try generate([1, 2, 3], maxTokens: 3)
        timeline.passes = []
        // The cache holds 1 2 3 4 5; the new prompt leaves it after 4.
        let (generation, _) = try generate([1, 2, 3, 4, 9, 9], maxTokens: 1)
        #expect(generation.reusedTokens == 4)
        #expect(generation.promptTokens == 6)
        #expect(timeline.passes == [2])
        #expect(generation.tokens == [0])
    }

    @Test func aPromptThatIsWhollyKnownRunsItsLastTokenAgain() throws {
        _ = try generate([1, 2, 3], maxTokens: 2)
        let (generation, _) = try generate([1, 2, 3], maxTokens: 1)
        #expect(generation.reusedTokens == 2)
        #expect(generation.tokens == [4])
    }

    @Test func theWeightsAreLookedAtBeforeEachBlockAndEvery64Steps() throws {
        var looks: [Int] = []
        let loop = GenerationLoop(timeline: timeline, endTokens: []) { looks.append(timeline.passes.count) }
        _ = try loop.generate(
            [Int32](repeating: 1, count: 600), options: GenerationOptions(maxTokens: 200, sampling: .greedy),
            decoder: digits)
        // Two blocks of the prompt, then 199 steps.
        #expect(looks == [0, 1, 2 + 63, 2 + 127, 2 + 191])
    }

    @Test func cancellationKeepsWhatWasGenerated() throws {
        var asked = 0
        let (generation, _) = try generate([1]) {
            asked += 1
            return asked > 3
        }
        #expect(generation.finish == .cancelled)
        #expect(generation.tokens == [2, 3, 4])
    }
}
