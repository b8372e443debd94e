import CrumbJSON
import CrumbPipeline
import CrumbReport

/// The table of an experiment.
struct ExperimentReport {
    let experiment: Experiment
    let model: String
    let rows: [Experiment.Row]

    var outcome: Outcome { Outcome(text: table.plain(), json: json) }

    private var table: TextTable {
        var table = TextTable([
            (experiment.rawValue, .left), ("bits per weight", .right), ("perplexity ratio", .right),
            ("mean KL", .right),
            ("same first choice", .right),
        ])
        for row in rows { table.append(cells(row)) }
        return table
    }

    private func cells(_ row: Experiment.Row) -> [String] {
        [
            row.name, Figures.decimal(row.bitsPerWeight, places: 3), Figures.decimal(row.ratio, places: 4),
            Figures.decimal(row.meanKL, places: 4), Figures.percent(row.topOneAgreement),
        ]
    }

    var markdown: String {
        var lines = [
            "# \(model): \(experiment.title)", "",
            "| | bits per weight | perplexity ratio | mean KL | same first choice |",
            "|---|---|---|---|---|",
        ]
        for row in rows { lines.append("| " + cells(row).joined(separator: " | ") + " |") }
        return lines.joined(separator: "\n") + "\n"
    }

    var chart: String {
        BarChart(
            title: "\(model): \(experiment.title), mean KL in nats",
            bars: rows.map { row in
                BarChart.Bar(
                    name: row.name, amount: row.meanKL,
                    text:
                        "\(Figures.decimal(row.meanKL, places: 3)) at \(Figures.decimal(row.bitsPerWeight, places: 2)) bits"
                )
            }
        ).svg()
    }

    private var json: JSONObject {
        [
            "experiment": .string(experiment.rawValue),
            "rows": .array(
                rows.map { row in
                    .object([
                        "name": .string(row.name), "bitsPerWeight": JSONValue(row.bitsPerWeight),
                        "ratio": JSONValue(row.ratio), "meanKL": JSONValue(row.meanKL),
                        "topOneAgreement": JSONValue(row.topOneAgreement),
                    ])
                }),
        ]
    }
}
