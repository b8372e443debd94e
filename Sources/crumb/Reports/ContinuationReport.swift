import CrumbEngine
import CrumbEval
import CrumbJSON
import CrumbReport

/// What `crumb eval --continuations` found, for people and for programs.
struct ContinuationReport {
    let agreement: ContinuationAgreement
    /// Tokens of a continuation at most.
    let limit: Int
    let placement: Placement
    let sourcePlacement: Placement

    var outcome: Outcome { Outcome(text: table, json: json) }

    private var table: String {
        var table = TextTable([("", .left), ("", .left)])
        let mean = agreement.agreeing
        table.append([
            "tokens before the first difference",
            "\(Figures.decimal(mean.mean, places: 2)) ± \(Figures.decimal(mean.standardError, places: 2))",
        ])
        table.append(["median", Figures.decimal(agreement.medianAgreeing, places: 1)])
        table.append(["the same to the end", Figures.percent(agreement.shareToTheEnd)])
        table.append([
            "source's continuations", "\(Figures.decimal(agreement.tokens.mean, places: 1)) tokens on average",
        ])
        table.append([
            "measured on",
            "\(Figures.count(agreement.results.count)) prompts, \(limit) tokens at most, in \(Figures.duration(agreement.seconds))",
        ])
        table.append(["device", "\(placement)"])
        table.append(["source's device", "\(sourcePlacement)"])
        return table.plain()
    }

    private var json: JSONObject {
        [
            "agreeingTokens": JSONValue(agreement.agreeing.mean),
            "standardError": JSONValue(agreement.agreeing.standardError),
            "medianAgreeingTokens": JSONValue(agreement.medianAgreeing),
            "agreeingToTheEnd": JSONValue(agreement.shareToTheEnd),
            "sourceTokens": JSONValue(agreement.tokens.mean),
            "prompts": JSONValue(agreement.results.count), "continuationTokens": JSONValue(limit),
            "agreeingTokensByPrompt": .array(agreement.results.map { JSONValue($0.agreeing) }),
            "seconds": JSONValue(agreement.seconds), "device": .string(placement.device),
            "backend": .string(placement.backend), "sourceDevice": .string(sourcePlacement.device),
            "sourceBackend": .string(sourcePlacement.backend),
        ]
    }
}
