/// Amounts below each other as bars from zero, each with its name before it and its value behind it.
package struct BarChart {
    package struct Bar: Sendable {
        package let name: String
        package let amount: Double
        package let text: String

        package init(name: String, amount: Double, text: String) {
            self.name = name
            self.amount = amount
            self.text = text
        }
    }

    package let title: String
    package let bars: [Bar]

    package init(title: String, bars: [Bar]) {
        self.title = title
        self.bars = bars
    }

    private static let width = 720.0
    private static let step = 24.0
    private static let head = 34.0
    private static let names = 170.0
    private static let values = 190.0

    /// The chart as a file of its own.
    package func svg() -> String {
        let chart = chart()
        let page = Markup(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "class": "chart", "role": "img", "aria-label": title,
                "viewBox": "0 0 \(coordinate(chart.width)) \(coordinate(chart.height))",
                "width": coordinate(chart.width),
                "height": coordinate(chart.height),
            ], [Markup(style: Chart.style), block(0, 0, chart.width, chart.height, "paper")] + chart.content)
        return page.rendered() + "\n"
    }

    func chart() -> Chart {
        let highest = bars.map(\.amount).filter(\.isFinite).max() ?? 0
        let room = Self.width - Self.names - Self.values
        var content = [label(title, 12, 20, "h")]
        for (index, bar) in bars.enumerated() {
            let y = Self.head + Double(index) * Self.step
            let length = highest > 0 && bar.amount.isFinite ? max(bar.amount, 0) / highest * room : 0
            content.append(label(bar.name, Self.names - 10, y + 15, "e"))
            content.append(block(Self.names, y + 4, length, Self.step - 8, "first"))
            content.append(label(bar.text, Self.names + length + 8, y + 15, "m"))
        }
        return Chart(
            width: Self.width, height: Self.head + Double(bars.count) * Self.step + 10, content: content)
    }
}
