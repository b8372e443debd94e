import CrumbReport
import Testing

@Suite struct TextTableTests {
    private var table: TextTable {
        var table = TextTable([("name", .left), ("t/s", .right)])
        table.append(["pp512", "1234.5"])
        table.append(["a|b", "7.0"])
        return table
    }

    @Test func `plain columns stand under their titles`() {
        #expect(table.plain() == "name      t/s\npp512  1234.5\na|b       7.0\n")
    }

    @Test func `a Markdown table marks what leans right and escapes bars`() {
        #expect(
            table.markdown() == """
                | name  |    t/s |
                | ----- | -----: |
                | pp512 | 1234.5 |
                | a\\|b  |    7.0 |

                """)
    }

    @Test func `titles that are all empty are left out, and lines end without spaces`() {
        var table = TextTable([("", .left), ("", .left)])
        table.append(["a", ""])
        table.append(["bcd", "e\nf"])
        #expect(table.plain() == "a\nbcd  e\\u{a}f\n")
    }
}

@Suite struct ProgressLineTests {
    @Test func `the bar shows share, label and time to go`() {
        let line = ProgressLine(label: "layer 15 of 30", fraction: 0.5, elapsedSeconds: 42, remainingSeconds: 42)
        #expect(line.bar(width: 80) == "[############............]  50 %  layer 15 of 30  ETA 42 s")
    }

    @Test(arguments: [0.5, 1]) func `a line of a log has share and label only`(fraction: Double) {
        let line = ProgressLine(
            label: "layer 15 of 30", fraction: fraction, elapsedSeconds: 42, remainingSeconds: 42)
        #expect(line.plainText == (fraction == 1 ? "100 %" : " 50 %") + "  layer 15 of 30")
    }

    @Test(arguments: [0, 1, 10, 40, 200]) func `the bar leaves the last column free`(width: Int) {
        let line = ProgressLine(label: String(repeating: "x", count: 100), fraction: 0.3, elapsedSeconds: 5)
        #expect(line.bar(width: width).count <= max(width - 1, 0))
    }

    @Test(arguments: [-1, 7, Double.nan, .infinity]) func `a wrong share does not break the bar`(fraction: Double) {
        let bar = ProgressLine(label: "x", fraction: fraction, elapsedSeconds: 1).bar(width: 80)
        #expect(bar.hasPrefix("[") && bar.contains("%"))
    }
}

@Suite struct PaceTests {
    private func pace(_ steps: [(seconds: Double, fraction: Double)]) -> Pace {
        var pace = Pace()
        for step in steps { pace.add(seconds: step.seconds, fraction: step.fraction) }
        return pace
    }

    @Test func `a resumed run guesses from the work it did itself`() throws {
        #expect(pace([(100, 0.5), (110, 0.75)]).remaining(seconds: 110, fraction: 0.75) == 10)
    }

    @Test func `there is no guess before there is a pace`() {
        #expect(Pace().remaining(seconds: 60, fraction: 0.5) == nil)
        #expect(pace([(0, 0), (60, 0.005)]).remaining(seconds: 60, fraction: 0.005) == nil)
        #expect(pace([(0, 0), (1, 0.5)]).remaining(seconds: 1, fraction: 0.5) == nil)
    }

    @Test func `a slow beginning is forgotten after two minutes`() throws {
        var pace = Pace()
        // A tenth in 200 seconds, then a hundredth every other second.
        for second in 0...200 { pace.add(seconds: Double(second), fraction: Double(second) * 0.0005) }
        for step in 1...60 { pace.add(seconds: Double(200 + 2 * step), fraction: 0.1 + Double(step) * 0.01) }
        let remaining = try #require(pace.remaining(seconds: 320, fraction: 0.7))
        #expect(abs(remaining - 60) < 3)
    }
}
