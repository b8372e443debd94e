/// A table in characters: plain columns for a terminal, or Markdown.
package struct TextTable: Sendable {
    /// To which side the cells of a column lean.
    package enum Alignment: Sendable { case left, right }

    private let titles: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    /// A table with these columns and no rows.
    package init(_ columns: [(title: String, alignment: Alignment)]) {
        titles = columns.map(\.title)
        alignments = columns.map(\.alignment)
    }

    /// Appends a row of one cell for each column.
    package mutating func append(_ cells: [String]) {
        precondition(cells.count == titles.count, "a row of \(cells.count) cells in a table of \(titles.count) columns")
        rows.append(cells.map(Printable.line))
    }

    /// Columns two spaces apart under their titles; titles that are all empty are left out. Ends in a newline.
    package func plain() -> String {
        let widths = columnWidths()
        let head = titles.allSatisfy(\.isEmpty) ? [] : [titles]
        let lines = (head + rows).map { row in
            let line = zip(row.indices, row).map { pad($1, to: widths[$0], alignments[$0]) }.joined(separator: "  ")
            return line.trimmingTrailingSpaces()
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// A Markdown table, its cells padded so that it also reads well as text. Ends in a newline.
    package func markdown() -> String {
        let widths = columnWidths().map { max($0, 3) }
        let rule = zip(widths, alignments).map { width, alignment in
            alignment == .right ? String(repeating: "-", count: width - 1) + ":" : String(repeating: "-", count: width)
        }
        let escaped = ([titles] + rows).map { row in row.map { $0.replacing("|", with: "\\|") } }
        var lines = escaped.map { row in
            zip(row.indices, row).map { pad($1, to: widths[$0], alignments[$0]) }
        }
        lines.insert(rule, at: 1)
        return lines.map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
    }

    private func columnWidths() -> [Int] {
        titles.indices.map { column in ([titles] + rows).map { $0[column].count }.max() ?? 0 }
    }

    private func pad(_ cell: String, to width: Int, _ alignment: Alignment) -> String {
        let space = String(repeating: " ", count: max(width - cell.count, 0))
        return alignment == .right ? space + cell : cell + space
    }
}

extension String {
    fileprivate func trimmingTrailingSpaces() -> String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
