import CrumbEngine
import Testing

struct StopScannerTests {
    /// All text that is let through, and whether a stop string was found.
    private func scan(_ pieces: [String], _ stops: [String]) -> (text: String, stopped: Bool) {
        var scanner = StopScanner(stops)
        var text = ""
        for piece in pieces {
            let (part, stopped) = scanner.push(piece)
            text += part
            if stopped { return (text, true) }
        }
        return (text + scanner.finish(), false)
    }

    @Test(
        arguments: [
            (["Hello STOP there"], "Hello "), (["Hello ", "STOP", " there"], "Hello "),
            (["Hello S", "T", "OP"], "Hello "),
            (["STOP"], ""), (["SSTOP"], "S"), (["STSTOP"], "ST"), (["a", "STOSTOP"], "aSTO"),
        ] as [([String], String)])
    func textEndsBeforeAStopStringHoweverItIsCut(pieces: [String], expected: String) {
        let found = scan(pieces, ["STOP"])
        #expect(found.text == expected)
        #expect(found.stopped)
    }

    @Test func textThatOnlyBeginsLikeAStopStringComesOutInTheEnd() {
        let found = scan(["say ST", "O"], ["STOP"])
        #expect(found.text == "say STO")
        #expect(!found.stopped)
    }

    @Test func onlyWhatMayBecomeAStopStringIsHeldBack() {
        var scanner = StopScanner(["\n\nUser"])
        #expect(scanner.push("line\n").text == "line")
        #expect(scanner.push("next").text == "\nnext")
    }

    @Test func theEarliestOfSeveralStopStringsWins() {
        #expect(scan(["one two three"], ["three", "two"]).text == "one ")
    }

    @Test func stopStringsOutsideASCIIAreFoundWhenCutBetweenCharacters() {
        #expect(scan(["abc日", "本語"], ["本"]).text == "abc日")
        #expect(scan(["caf", "é!"], ["é"]).text == "caf")
    }

    @Test func emptyStopStringsAreIgnored() {
        #expect(scan(["text"], [""]).text == "text")
    }
}
