import Glibc

/// How the ranges of the groups are spread in every layer: bands of quantiles, a panel for each kind of matrix.
package struct RangeBands: Sendable {
    /// One kind of matrix.
    package struct Kind: Sendable {
        /// "q_proj".
        package let name: String
        /// [layer][5]: the ranges that 5, 25, 50, 75 and 95 % of the groups do not exceed.
        package let layers: [[Double]]
        /// The largest of all.
        package let largest: Double

        package init(name: String, layers: [[Double]], largest: Double) {
            precondition(layers.allSatisfy { $0.count == 5 }, "\(name) has layers without five quantiles")
            self.name = name
            self.layers = layers
            self.largest = largest
        }
    }

    package let kinds: [Kind]

    package init(kinds: [Kind]) { self.kinds = kinds }

    package static let explanation =
        "Largest minus smallest of 32 neighbouring weights of a row, over the layers; one logarithmic axis for all panels."

    /// Around the picture, and left of a panel for the axis' numbers.
    private static let margin = 28.0
    /// Between a panel's title and its drawing.
    private static let head = 6.0
    private static let height = 120.0

    /// The chart as a file of its own.
    package func svg(title: String) -> String {
        let chart = chart()
        let width = Panels.width + 2 * Self.margin
        let height = chart.height + 2 * Self.margin + 44
        let content = [
            Markup(style: Chart.style), block(0, 0, width, height, "paper"),
            label(title, Self.margin, Self.margin + 14, "h"),
            label(Self.explanation, Self.margin, Self.margin + 31, "m"),
            chart.at(Self.margin, Self.margin + 44),
        ]
        return Chart(width: width, height: height, content: content).picture(label: title).rendered() + "\n"
    }

    /// Key and panels.
    package func chart() -> Chart {
        let axis = LogAxis(kinds.flatMap(\.layers).joined(), length: Self.height)
        let panels = Panels(panelHeight: Self.head + Self.height + 18).chart(titles: kinds.map(\.name)) { index in
            [Chart(width: 0, height: 0, content: panel(kinds[index], axis)).at(0, Self.head)]
        }
        let key = key([("first", "median"), ("half", "half of the groups"), ("most", "90 % of them")])
        return Chart(
            width: Panels.width, height: panels.height + 30, content: [key.at(0, 0), panels.at(0, 30)])
    }

    private func panel(_ kind: Kind, _ axis: LogAxis) -> [Markup] {
        let step = (Panels.panelWidth - Self.margin) / Double(max(kind.layers.count - 1, 1))
        /// Points of one quantile, a layer after the other.
        func points(_ quantile: Int) -> [String] {
            kind.layers.enumerated().map {
                "\(coordinate(Self.margin + Double($0) * step)) \(coordinate(axis.place(of: $1[quantile])))"
            }
        }
        func band(_ low: Int, _ high: Int, _ style: String) -> Markup {
            let outline = points(high) + points(low).reversed()
            return Markup("path", ["d": "M" + outline.joined(separator: "L") + "z", "class": style])
        }
        var content: [Markup] = []
        for tick in axis.ticks {
            let y = axis.place(of: tick)
            content.append(rule(Self.margin, y, Panels.panelWidth, y))
            content.append(label(coordinate(tick), Self.margin - 5, y + 4, "m e"))
        }
        if !kind.layers.isEmpty {
            content += [band(0, 4, "most"), band(1, 3, "half")]
            content.append(Markup("path", ["d": "M" + points(2).joined(separator: "L"), "class": "line"]))
        }
        content += [
            label("widest \(Figures.significant(kind.largest))", Panels.panelWidth, -7 - Self.head, "m e"),
            label("layer 0", Self.margin, Self.height + 14, "m"),
            label("\(max(kind.layers.count - 1, 0))", Panels.panelWidth, Self.height + 14, "m e"),
        ]
        return content
    }
}

/// A logarithmic axis from the bottom up.
struct LogAxis {
    /// log10 of its ends.
    private let low, high: Double
    private let length: Double

    /// - Parameters:
    ///   - values: What must find room; what is not above zero lies at the bottom.
    ///   - length: In pixels.
    init(_ values: some Sequence<Double>, length: Double) {
        let drawn = values.filter { $0 > 0 && $0.isFinite }
        let ends = (log10(drawn.min() ?? 0.1), log10(drawn.max() ?? 1))
        // A little room, and not nothing where all values are one.
        let room = max(0.04 * (ends.1 - ends.0), 0.02)
        (low, high) = (ends.0 - room, ends.1 + room)
        self.length = length
    }

    /// Pixels from the top.
    func place(of value: Double) -> Double {
        let place = value > 0 && value.isFinite ? log10(value) : low
        return length * (1 - min(max((place - low) / (high - low), 0), 1))
    }

    /// 1, 2 and 5 times the powers of ten; those alone where there are many.
    var ticks: [Double] {
        let steps = high - low < 2.4 ? [1.0, 2, 5] : [1]
        return (Int(low.rounded(.down))...Int(high.rounded(.down))).flatMap { decade in
            steps.map { $0 * pow(10, Double(decade)) }
        }.filter { (low...high).contains(log10($0)) }
    }
}
