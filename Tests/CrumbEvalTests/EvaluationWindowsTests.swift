import CrumbEval
import Testing

struct EvaluationWindowsTests {
    private let tokens = (0..<100).map { Int32($0) }

    @Test func windowsDoNotOverlapAndTheRemainderIsDropped() throws {
        let windows = try EvaluationWindows(tokens: tokens, beginning: nil, context: 30)
        #expect(windows.count == 3)
        #expect(windows.inputs(0) == Array(0..<30))
        #expect(windows.inputs(2) == Array(60..<90))
    }

    @Test func countedAreThePredictionsAfterTheMiddle() throws {
        let windows = try EvaluationWindows(tokens: tokens, beginning: nil, context: 30)
        // Positions 15 ... 28 predict tokens 16 ... 29 of the window.
        #expect(windows.firstCounted == 15)
        #expect(windows.countedPerWindow == 14)
        #expect(windows.target(1, at: 15) == 46)
        #expect(windows.target(1, at: 28) == 59)
    }

    @Test func anOddContextCountsOneLessThanItsLargerHalf() throws {
        let windows = try EvaluationWindows(tokens: tokens, beginning: nil, context: 31)
        #expect(windows.firstCounted == 15)
        #expect(windows.countedPerWindow == 15)
    }

    @Test func theBeginningTokenTakesThePlaceOfTheFirstInputButOfNoTarget() throws {
        let windows = try EvaluationWindows(tokens: tokens, beginning: 7, context: 50)
        #expect(windows.inputs(1).prefix(3) == [7, 51, 52])
        #expect(windows.target(0, at: 48) == 49)
    }

    @Test(arguments: [(1, 1), (2, 2), (9, 5)])
    func thereAreAtMostAsManyWindowsAsAskedFor(limit: Int, expected: Int) throws {
        #expect(try EvaluationWindows(tokens: tokens, beginning: nil, context: 20, limit: limit).count == expected)
    }

    @Test func halvesAreThoseOfTheTokens() throws {
        let first = try EvaluationWindows(tokens: tokens, beginning: nil, context: 40, portion: .firstHalf)
        let second = try EvaluationWindows(tokens: tokens, beginning: nil, context: 40, portion: .secondHalf)
        #expect(first.inputs(0).first == 0)
        #expect(second.inputs(0) == Array(50..<90))
        #expect(second.target(0, at: 38) == 89)
        #expect(second.count == 1)
    }

    @Test func aTextBelowOneWindowIsRefusedWithBothNumbers() {
        let error = #expect(throws: EvaluationError.self) {
            try EvaluationWindows(tokens: tokens, beginning: nil, context: 101)
        }
        #expect(error?.description.contains("100 tokens") == true)
        #expect(error?.description.contains("101") == true)
        #expect(throws: EvaluationError.self) {
            try EvaluationWindows(tokens: tokens, beginning: nil, context: 51, portion: .secondHalf)
        }
    }

    @Test(arguments: [3, 0, -5])
    func contextsTooShortToCountAnythingAreRefused(context: Int) {
        #expect(throws: EvaluationError.self) {
            try EvaluationWindows(tokens: tokens, beginning: nil, context: context)
        }
    }

    @Test func noWindowsAtAllAreRefused() {
        #expect(throws: EvaluationError.self) {
            try EvaluationWindows(tokens: tokens, beginning: nil, context: 10, limit: 0)
        }
    }
}
