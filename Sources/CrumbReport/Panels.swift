/// Small charts of one kind side by side, all of the same size, each under its title.
struct Panels {
    static let width = 960.0
    static let columns = 4
    static let gap = 24.0

    /// Room for the drawing of one panel.
    static var panelWidth: Double { (width - gap * Double(columns - 1)) / Double(columns) }
    let panelHeight: Double

    /// Lays out the panels row by row; `draw` gives the elements of one, with (0, 0) at its upper left corner.
    func chart(titles: [String], draw: (Int) -> [Markup]) -> Chart {
        let titleHeight = 20.0
        let rows = (titles.count + Self.columns - 1) / Self.columns
        let rowHeight = titleHeight + panelHeight + Self.gap
        let content = titles.indices.map { index in
            let x = Double(index % Self.columns) * (Self.panelWidth + Self.gap)
            let y = Double(index / Self.columns) * rowHeight
            let panel = Chart(
                width: Self.panelWidth, height: panelHeight, content: draw(index)
            ).at(0, titleHeight)
            return Chart(width: 0, height: 0, content: [label(titles[index], 0, 13), panel]).at(x, y)
        }
        return Chart(width: Self.width, height: max(Double(rows) * rowHeight - Self.gap, 0), content: content)
    }
}

/// The colour key of a chart: squares and words in one line.
func key(_ entries: [(style: String, text: String)]) -> Chart {
    var x = 0.0
    var content: [Markup] = []
    for entry in entries {
        content.append(block(x, 2, 11, 11, entry.style))
        content.append(label(entry.text, x + 17, 12, "m"))
        // Letters are about 6 pixels wide; the key need not be exact.
        x += 17 + 6.2 * Double(entry.text.count) + 24
    }
    return Chart(width: x, height: 16, content: content)
}
