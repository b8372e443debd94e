/// The picture of `crumb inspect --plot`: what the weights of a model look like, and where their bits went.
package struct InspectionPlot: Sendable {
    /// What is shown: the model's name.
    package var title: String
    /// One line below it: architecture, size, bits.
    package var subtitle: String
    package var ranges: [GroupRanges]
    /// The share of 4-bit channels; nil for an unquantized model.
    package var fourBitShares: LayerMap?
    package var channels: [ChannelMap]

    package init(
        title: String, subtitle: String, ranges: [GroupRanges], fourBitShares: LayerMap? = nil,
        channels: [ChannelMap] = []
    ) {
        self.title = title
        self.subtitle = subtitle
        self.ranges = ranges
        self.fourBitShares = fourBitShares
        self.channels = channels
    }

    private static let margin = 28.0

    /// The whole SVG file.
    package func svg() -> String {
        var y = Self.margin
        var content: [Markup] = []
        func add(_ chart: Chart, gap: Double) {
            content.append(chart.at(Self.margin, y))
            y += chart.height + gap
        }
        func heading(_ text: String, _ explanation: String) {
            content.append(label(text, Self.margin, y + 14, "h"))
            content.append(label(explanation, Self.margin, y + 31, "m"))
            y += 44
        }
        heading(title, subtitle)
        y += 10
        heading(
            "Ranges of the groups",
            "Largest minus smallest of each 32 weights, in units of the matrix's root mean square; logarithmic axis.")
        if ranges.contains(where: { $0.wide.total > 0 }) {
            add(key([("first", "groups with 2 bits"), ("second", "groups with 4 bits")]), gap: 10)
        }
        add(RangeChart(ranges: ranges).chart(), gap: 34)
        if let fourBitShares {
            heading("Share of 4-bit channels", "Per cent of the input channels of each matrix.")
            add(
                HeatMap(map: fourBitShares, empty: 0, full: 1) { Figures.decimal($0 * 100, places: 0) }.chart(), gap: 34
            )
        }
        if !channels.isEmpty {
            heading("Where they lie", ChannelMap.explanation)
            for map in channels { add(ChannelMapChart(map: map).chart(), gap: 20) }
        }
        let width = Panels.width + 2 * Self.margin
        let height = y - 20 + Self.margin
        let style = Markup(style: Chart.style)
        let picture = Chart(
            width: width, height: height, content: [style, block(0, 0, width, height, "paper")] + content)
        return picture.picture(label: "\(title): \(subtitle)").rendered() + "\n"
    }
}
