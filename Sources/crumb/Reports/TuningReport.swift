import CrumbJSON
import CrumbPipeline
import CrumbReport

/// What `crumb tune` did, for people and for programs.
struct TuningReport {
    let summary: TuningSummary

    var outcome: Outcome { Outcome(text: text, json: json) }

    private var divergence: Double { TuningSummary.recentMean(summary.divergences) }

    private var text: String {
        var table = TextTable([("", .left), ("", .left)])
        table.append(["steps", "\(summary.steps) on \(summary.texts) texts of \(summary.context) tokens"])
        table.append([
            "divergence",
            "\(Figures.decimal(summary.divergences.first ?? 0, places: 4)) to "
                + "\(Figures.decimal(divergence, places: 4)) nats, on what was tuned on",
        ])
        if let measured = summary.measured {
            table.append([
                "perplexity (source: \(Figures.decimal(measured.sourcePerplexity, places: 3)))",
                Figures.decimal(measured.perplexity, places: 3),
            ])
            table.append(["mean KL divergence", Figures.decimal(measured.meanKL, places: 4) + " nats"])
            table.append(["same first choice", Figures.percent(measured.topOneAgreement)])
        }
        table.append(["time", Figures.duration(summary.seconds)])
        return table.plain()
    }

    private var json: JSONObject {
        var object = JSONObject([
            ("steps", JSONValue(summary.steps)), ("texts", JSONValue(summary.texts)),
            ("context", JSONValue(summary.context)), ("divergence", JSONValue(divergence)),
        ])
        if let measured = summary.measured {
            object["perplexity"] = JSONValue(measured.perplexity)
            object["sourcePerplexity"] = JSONValue(measured.sourcePerplexity)
            object["meanKL"] = JSONValue(measured.meanKL)
            object["topOneAgreement"] = JSONValue(measured.topOneAgreement)
        }
        object["seconds"] = JSONValue(summary.seconds)
        return object
    }
}
