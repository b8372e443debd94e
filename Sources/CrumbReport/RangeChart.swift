import Glibc

/// How the ranges of the groups are spread in one kind of matrix.
package struct GroupRanges: Sendable {
    /// The kind of matrix: "q_proj".
    package var kind: String
    /// Ranges (largest minus smallest weight of a group, in units of the matrix's root mean square) of groups with few
    /// bits: 2 in a quantized model, all groups in an unquantized one.
    package var narrow = LogHistogram()
    /// Those of groups with 4 bits.
    package var wide = LogHistogram()

    package init(kind: String) { self.kind = kind }
}

/// Histograms of the groups' ranges, one panel for each kind of matrix, all on the same logarithmic axis.
struct RangeChart {
    let ranges: [GroupRanges]

    private static let height = 110.0
    private static let axisHeight = 18.0

    func chart() -> Chart {
        let used = usedBins()
        return Panels(panelHeight: Self.height + Self.axisHeight).chart(titles: ranges.map(\.kind)) { index in
            panel(ranges[index], bins: used)
        }
    }

    /// The bins that hold at least one group in two thousand of any panel, widened to whole octaves: what is rarer could
    /// not be seen.
    private func usedBins() -> Range<Int> {
        let per = LogHistogram.binsPerOctave
        let filled = ranges.flatMap { range in
            let rare = (range.narrow.total + range.wide.total) / 2000
            return zip(range.narrow.counts, range.wide.counts).enumerated().filter { $1.0 + $1.1 > rare }.map(\.offset)
        }
        guard let first = filled.min(), let last = filled.max() else { return 0..<per }
        return first / per * per..<(last / per + 1) * per
    }

    private func panel(_ range: GroupRanges, bins: Range<Int>) -> [Markup] {
        let total = max(range.narrow.total + range.wide.total, 1)
        let highest = zip(range.narrow.counts, range.wide.counts).map(+).max() ?? 0
        let step = Panels.panelWidth / Double(bins.count)
        let scale = Self.height / Double(max(highest, 1))
        var content: [Markup] = []
        for bin in bins {
            let x = Double(bin - bins.lowerBound) * step
            let lower = Double(range.narrow.counts[bin]) * scale
            let upper = Double(range.wide.counts[bin]) * scale
            if lower > 0 { content.append(block(x, Self.height - lower, step * 0.88, lower, "first")) }
            if upper > 0 { content.append(block(x, Self.height - lower - upper, step * 0.88, upper, "second")) }
        }
        content.append(rule(0, Self.height, Panels.panelWidth, Self.height))
        let per = LogHistogram.binsPerOctave
        for bin in stride(from: bins.lowerBound, through: bins.upperBound, by: per) {
            let x = Double(bin - bins.lowerBound) * step
            // Next to an edge of many octaves the label would run into the edge's.
            let isCrowded = bins.count > 5 * per && (bin == bins.lowerBound + per || bin == bins.upperBound - per)
            if isCrowded { continue }
            let value = exp2(Double(bin / per + LogHistogram.lowestOctave))
            let anchor = bin == bins.lowerBound ? "m" : bin == bins.upperBound ? "m e" : "m c"
            content.append(label(coordinate(value), x, Self.height + 14, anchor))
        }
        let share = Figures.percent(Double(highest) / Double(total), places: 0)
        content.append(label("highest bar \(share)", Panels.panelWidth, -7, "m e"))
        return content
    }
}
