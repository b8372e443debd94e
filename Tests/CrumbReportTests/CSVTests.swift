import CrumbReport
import Testing

@Suite struct CSVTests {
    private let columns = ["card", "µs"]

    @Test func `commas, quotes and line ends stand in quotes`() {
        #expect(CSVText.line(["a", "", "1.5", "b c"]) == "a,,1.5,b c\n")
        #expect(
            CSVText.line(["a,b", "say \"x\"", "two\nlines", "\r"])
                == "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\"\r\"\n")
    }

    @Test func `rows go below the titles, which stand there once`() throws {
        let first = try #require(CSVText.appending([["H200", "7.3"]], columns: columns, to: ""))
        #expect(first == "card,µs\nH200,7.3\n")
        #expect(CSVText.appending([["A100", "9"]], columns: columns, to: first) == "card,µs\nH200,7.3\nA100,9\n")
        // An editor may have left out the last newline.
        #expect(CSVText.appending([["A", "1"]], columns: columns, to: "card,µs\nB,2") == "card,µs\nB,2\nA,1\n")
        #expect(CSVText.appending([], columns: columns, to: "card,µs") == "card,µs\n")
    }

    @Test(arguments: ["card\n", "card,ms\n1,2\n", "\ncard,µs\n", "card,µs,more\n"])
    func `a file with other titles is left alone`(_ text: String) {
        #expect(CSVText.appending([["H200", "7.3"]], columns: columns, to: text) == nil)
    }
}
