import CrumbJSON
import CrumbModel
import CrumbPipeline
import CrumbReport

/// How the ranges of a model's groups are spread, for people and for programs.
struct RangeReport {
    let ranges: WeightRanges
    /// The model's name.
    let model: String

    private typealias Spread = WeightRanges.Spread

    var outcome: Outcome { Outcome(text: table.plain(), json: json) }

    private var title: String { "\(model): ranges of the groups" }

    private var columns: [(title: String, alignment: TextTable.Alignment)] {
        Spread.shares.map { (Figures.percent($0, places: 0), .right) } + [("widest", .right)]
    }

    /// A line for each kind of matrix, over all layers.
    private var table: TextTable {
        var table = TextTable([("ranges", .left)] + columns)
        for kind in ranges.kinds { table.append([name(kind)] + cells(kind.all)) }
        return table
    }

    /// A line for each matrix.
    private var layers: TextTable {
        var table = TextTable([("matrix", .left), ("layer", .right)] + columns)
        for kind in ranges.kinds {
            for (layer, spread) in kind.layers.enumerated() {
                table.append([name(kind), "\(layer)"] + cells(spread))
            }
        }
        return table
    }

    private func name(_ kind: WeightRanges.Kind) -> String { kind.projection.rawValue + "_proj" }

    private func cells(_ spread: Spread) -> [String] {
        (spread.quantiles + [spread.largest]).map { Figures.significant(Double($0)) }
    }

    var markdown: String {
        """
        # \(title)

        Largest minus smallest of 32 neighbouring weights of a row: what so many of the groups do not exceed, over all layers.

        \(table.markdown())
        ## Layer by layer

        \(layers.markdown())
        """
    }

    var bands: RangeBands {
        RangeBands(
            kinds: ranges.kinds.map { kind in
                RangeBands.Kind(
                    name: name(kind), layers: kind.layers.map { $0.quantiles.map { Double($0) } },
                    largest: Double(kind.all.largest))
            })
    }

    var chart: String { bands.svg(title: title) }

    private var json: JSONObject {
        [
            "experiment": "ranges",
            "matrices": .array(
                ranges.kinds.flatMap { kind in
                    kind.layers.enumerated().map { layer, spread in
                        [
                            "kind": .string(name(kind)), "layer": JSONValue(layer),
                            "quantiles": .array(spread.quantiles.map { JSONValue(Double($0)) }),
                            "largest": JSONValue(Double(spread.largest)),
                        ]
                    }
                }),
        ]
    }
}
