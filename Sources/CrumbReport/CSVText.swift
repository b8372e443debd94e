/// Tables as comma-separated values (RFC 4180), for programs.
package enum CSVText {
    /// One row with its newline. What has commas, quotes or line ends stands in quotes.
    package static func line(_ cells: [String]) -> String {
        cells.map(quoted).joined(separator: ",") + "\n"
    }

    /// What is to stand in a file that has `existing` after rows were added to it: with the titles in front where the
    /// file was empty.
    ///
    /// - Returns: nil where the file has other titles.
    package static func appending(_ rows: [[String]], columns: [String], to existing: String) -> String? {
        precondition(rows.allSatisfy { $0.count == columns.count }, "rows of another table than \(columns)")
        let head = line(columns)
        var text = existing.isEmpty ? head : existing
        if text.utf8.last != UInt8(ascii: "\n") { text += "\n" }
        let first = text.prefix { !$0.isNewline }
        guard first + "\n" == head else { return nil }
        return text + rows.map(line).joined()
    }

    private static func quoted(_ cell: String) -> String {
        let isPlain = cell.utf8.allSatisfy { ![UInt8(ascii: ","), UInt8(ascii: "\""), 10, 13].contains($0) }
        return isPlain ? cell : "\"" + cell.replacing("\"", with: "\"\"") + "\""
    }
}
