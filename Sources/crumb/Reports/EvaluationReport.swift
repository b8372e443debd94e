import CrumbEngine
import CrumbEval
import CrumbJSON
import CrumbReport

/// What `crumb eval` found, for people and for programs.
struct EvaluationReport {
    let windows: EvaluationWindows
    let model: Perplexity
    /// Where the model ran.
    let placement: Placement
    var divergence: Divergence?
    /// Where the source ran, which may be elsewhere.
    var sourcePlacement: Placement?

    var outcome: Outcome { Outcome(text: table, json: json) }

    private var table: String {
        var table = TextTable([("", .left), ("", .left)])
        table.append(["perplexity", plusMinus(model.value, model.standardError)])
        if let divergence {
            table.append(["source's perplexity", plusMinus(divergence.source.value, divergence.source.standardError)])
            table.append(["ratio", Figures.decimal(divergence.ratio, places: 4)])
            let kl = divergence.divergence
            table.append(["mean KL divergence", plusMinus(kl.mean, kl.standardError) + " nats"])
            table.append(["same first choice", Figures.percent(divergence.agreement.mean, places: 2)])
        }
        table.append([
            "measured on",
            "\(Figures.count(model.tokens)) tokens, \(windows.count) windows of \(windows.context), in \(Figures.duration(model.seconds))",
        ])
        table.append(["device", "\(placement)"])
        if let sourcePlacement { table.append(["source's device", "\(sourcePlacement)"]) }
        return table.plain()
    }

    private var json: JSONObject {
        var object: JSONObject = [
            "perplexity": JSONValue(model.value), "standardError": JSONValue(model.standardError),
            "tokens": JSONValue(model.tokens),
            "meanKL": divergence.map { JSONValue($0.divergence.mean) } ?? .null,
            "topOneAgreement": divergence.map { JSONValue($0.agreement.mean) } ?? .null,
        ]
        if let divergence {
            object["meanKLStandardError"] = JSONValue(divergence.divergence.standardError)
            object["sourcePerplexity"] = JSONValue(divergence.source.value)
            object["sourceStandardError"] = JSONValue(divergence.source.standardError)
            object["ratio"] = JSONValue(divergence.ratio)
        }
        object["windows"] = JSONValue(windows.count)
        object["context"] = JSONValue(windows.context)
        object["perplexityAfterWindows"] = .array(model.afterWindows.map { JSONValue($0) })
        object["seconds"] = JSONValue(model.seconds)
        object["device"] = .string(placement.device)
        object["backend"] = .string(placement.backend)
        if let sourcePlacement {
            object["sourceDevice"] = .string(sourcePlacement.device)
            object["sourceBackend"] = .string(sourcePlacement.backend)
        }
        return object
    }

    private func plusMinus(_ value: Double, _ error: Double) -> String {
        "\(Figures.decimal(value, places: 4)) ± \(Figures.decimal(error, places: 4))"
    }
}
