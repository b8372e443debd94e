/// Where the 4-bit channels and the outliers lie among the input channels of matrices that share one order of channels.
package struct ChannelMap: Sendable {
    /// The matrices: "q_proj, k_proj, v_proj".
    package var title: String
    /// Input channels (K) of the matrices, before any sorting.
    package var channels: Int
    /// [layer][bin]: the share of a bin's channels that have 4 bits, 0 to 1, on average over the matrices.
    package private(set) var fourBit: [[Double]] = []
    /// [layer][bin]: outliers per channel of the bin.
    package private(set) var outliers: [[Double]] = []

    package static let explanation =
        "Input channels in the model's own order from left to right, layers from top to bottom; means over the matrices."

    /// Bins across the channels: the finest a panel can show.
    package static let bins = 128

    package init(title: String, channels: Int) {
        self.title = title
        self.channels = channels
    }

    /// Appends a layer.
    ///
    /// - Parameters:
    ///   - fourBit: For each of the K channels, in the model's own order: the share of the matrices where it has 4 bits.
    ///   - outliers: Likewise: its outliers in all of the matrices.
    package mutating func append(fourBit: [Double], outliers outlierCounts: [Int]) {
        self.fourBit.append(binned(fourBit))
        outliers.append(binned(outlierCounts.map(Double.init)))
    }

    /// Means of the values over bins of as equal a number of channels as can be.
    private func binned(_ values: [Double]) -> [Double] {
        let bins = min(Self.bins, values.count)
        return (0..<bins).map { bin in
            let part = values[bin * values.count / bins..<(bin + 1) * values.count / bins]
            return part.reduce(0, +) / Double(part.count)
        }
    }
}

/// Two maps side by side, 4-bit channels and outliers: channels across, layers down.
struct ChannelMapChart {
    let map: ChannelMap

    private static let columns = 2.0
    /// Depths of colour that are told apart; each is one path, so that a picture of a large model stays small.
    private static let levels = 5

    func chart() -> Chart {
        let width = (Panels.width - Panels.gap) / Self.columns
        let layers = max(map.fourBit.count, 1)
        let rowHeight = min(max(160 / Double(layers), 1.5), 8)
        let height = rowHeight * Double(layers)
        let most = map.outliers.joined().max() ?? 0
        let left = field(map.fourBit, full: 1, width: width, rowHeight: rowHeight, style: "first")
        let right = field(map.outliers, full: most, width: width, rowHeight: rowHeight, style: "second")
        let caption = "\(Figures.count(map.channels)) input channels of \(map.title)"
        var content = [label(caption, 0, 12)]
        for (x, panel) in [(0.0, left), (width + Panels.gap, right)] {
            let frame = block(0, 0, width, height, "cell")
            content.append(Chart(width: width, height: height, content: [frame] + panel).at(x, 20))
        }
        content.append(label("4-bit channels", width, 12, "m e"))
        let outlierNote = most > 0 ? "outliers, at most \(Figures.significant(most)) per channel" : "no outliers"
        content.append(label(outlierNote, Panels.width, 12, "m e"))
        return Chart(width: Panels.width, height: height + 20, content: content)
    }

    private func field(
        _ values: [[Double]], full: Double, width: Double, rowHeight: Double, style: String
    ) -> [Markup] {
        guard full > 0 else { return [] }
        var paths = [String](repeating: "", count: Self.levels + 1)
        for (row, line) in values.enumerated() {
            let step = width / Double(max(line.count, 1))
            let levels = line.map { value in
                value <= 0 ? 0 : min(max(Int((value / full * Double(Self.levels)).rounded(.up)), 1), Self.levels)
            }
            // Neighbours of one level become one rectangle.
            var start = 0
            for bin in 1...max(levels.count, 1) where bin == levels.count || levels[bin] != levels[start] {
                if levels[start] > 0 {
                    let x = coordinate(Double(start) * step)
                    let y = coordinate(Double(row) * rowHeight)
                    let run = coordinate(Double(bin - start) * step)
                    paths[levels[start]] += "M\(x) \(y)h\(run)v\(coordinate(rowHeight))h-\(run)z"
                }
                start = bin
            }
        }
        return (1...Self.levels).filter { !paths[$0].isEmpty }.map { level in
            Markup(
                "path",
                [
                    "d": paths[level], "class": style,
                    "fill-opacity": coordinate(Double(level) / Double(Self.levels)),
                ])
        }
    }
}
