import CrumbReport
import Testing

@Suite struct FiguresTests {
    @Test(arguments: [
        (2.846, 2, "2.85"), (0.0, 1, "0.0"), (-0.001, 2, "0.00"), (-1.25, 1, "-1.2"),
        (1e21, 0, "1000000000000000000000"),
        (.infinity, 2, "inf"), (-.infinity, 2, "-inf"), (.nan, 2, "nan"),
    ]) func `decimals have a fixed number of places`(_ value: Double, _ places: Int, _ text: String) {
        #expect(Figures.decimal(value, places: places) == text)
    }

    @Test(arguments: [(0.012345, "0.0123"), (12.345, "12.3"), (12345.6, "12346"), (0, "0"), (-0.5, "-0.500")])
    func `significant digits need no exponent`(_ value: Double, _ text: String) {
        #expect(Figures.significant(value) == text)
    }

    @Test(arguments: [
        (0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567"), (134_515_008, "134,515,008"),
    ])
    func `counts have their thousands apart`(_ value: Int, _ text: String) {
        #expect(Figures.count(value) == text)
    }

    @Test(arguments: [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (98_362_432, "93.81 MiB"), (1_048_575, "1.00 MiB"),
        (Int.max, "8192.0 PiB"),
    ]) func `bytes come in the largest unit that fits`(_ count: Int, _ text: String) {
        #expect(Figures.bytes(count) == text)
    }

    @Test(arguments: [
        (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (123.2, "2 min 03 s"),
        (4020, "1 h 07 min"),
        (.infinity, "?"), (-1, "?"),
    ]) func `spans of time have at most two units`(_ seconds: Double, _ text: String) {
        #expect(Figures.duration(seconds) == text)
    }
}

@Suite struct PrintableTests {
    @Test func `a name from a file cannot move the cursor or forge a line`() {
        #expect(Printable.line("a\u{1B}[2Jb\nc\u{202E}d\u{2028}e") == "a\\u{1b}[2Jb\\u{a}c\\u{202e}d\\u{2028}e")
        #expect(Printable.line("schön 日本 👍🏽") == "schön 日本 👍🏽")
    }

    @Test func `streamed text keeps its lines and loses its escapes`() {
        #expect(Printable.text("a\tb\n\u{1B}[31m\r\u{7F}") == "a\tb\n\u{FFFD}[31m\u{FFFD}\u{FFFD}")
    }
}
