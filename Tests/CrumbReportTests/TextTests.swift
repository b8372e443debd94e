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
        let line = ProgressLine(label: "layer 15 of 30", fraction: 0.5, elapsedSeconds: 42)
        #expect(line.bar(width: 80) == "[############............]  50 %  layer 15 of 30  ETA 42 s")
        #expect(line.plainText == " 50 %  layer 15 of 30  ETA 42 s")
    }

    @Test func `a resumed run guesses from the work it did itself`() throws {
        let line = ProgressLine(label: "", fraction: 0.75, startFraction: 0.5, elapsedSeconds: 10)
        #expect(try #require(line.remainingSeconds) == 10)
    }

    @Test func `there is no guess before there is a pace`() {
        #expect(ProgressLine(label: "", fraction: 0.005, elapsedSeconds: 60).remainingSeconds == nil)
        #expect(ProgressLine(label: "", fraction: 0.5, elapsedSeconds: 1).remainingSeconds == nil)
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
