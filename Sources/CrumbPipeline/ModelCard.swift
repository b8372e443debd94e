import CrumbEval
import CrumbModel
import CrumbQuant

/// The `README.md` of a quantized folder.
enum ModelCard {
    /// Everything the card tells.
    struct Facts {
        var name: String
        var source: String
        var summary: QuantizationSummary
        var calibration: String
        var options: QuantizationOptions
    }

    static func text(_ facts: Facts) -> String {
        let summary = facts.summary
        var lines = [
            "---", "library_name: crumb", "tags: [quantized, 2-bit, 4-bit]", "---", "",
            "# \(facts.name), quantized by Crumb", "",
            "The linear layers have 2-, 4- and 16-bit weights inside each matrix: "
                + "**\(rounded(summary.bitsPerWeight, 3)) bits per weight**, everything of theirs included.",
            "", "| | |", "|---|---|", "| source | `\(facts.source)` |",
            "| linear layers | \(summary.linearWeights) weights in \(summary.linearBytes) bytes |",
            "| embedding and head | \(summary.embeddingBits) and \(summary.headBits) bits |",
            "| all tensors | \(summary.totalBytes) bytes |",
            "| method | \(facts.options.method.rawValue), seed \(facts.options.seed) |",
            "| calibration | \(facts.calibration) |",
        ]
        if let measured = summary.measured {
            lines += [
                "", "## Measured", "",
                "On \(measured.tokens) tokens of \(measured.text), which it was not calibrated on:", "",
                "| | source | quantized |", "|---|---|---|",
                "| perplexity | \(rounded(measured.sourcePerplexity, 3)) | \(rounded(measured.perplexity, 3)) |",
                "| ratio | | \(rounded(measured.perplexity / measured.sourcePerplexity, 3)) |",
                "| mean KL divergence from the source | | \(rounded(measured.meanKL, 4)) nats |",
                "| same most likely token | | \(rounded(100 * measured.topOneAgreement, 1)) % |",
            ]
        }
        lines += ["", "Run it: `crumb chat THIS_FOLDER`. Check its files: `crumb verify THIS_FOLDER`.", ""]
        return lines.joined(separator: "\n")
    }

    /// What tuning adds to the card.
    static func tuning(_ summary: TuningSummary) -> String {
        var lines = [
            "", "## Tuned", "",
            "\(summary.steps) steps on \(summary.texts) texts of \(summary.context) tokens, by the divergence from the "
                + "source's predictions.",
        ]
        if let measured = summary.measured {
            lines += [
                "On \(measured.tokens) tokens of \(measured.text) that were left out: perplexity "
                    + "\(rounded(measured.perplexity, 3)) (source \(rounded(measured.sourcePerplexity, 3)), ratio "
                    + "\(rounded(measured.perplexity / measured.sourcePerplexity, 3))), mean KL divergence "
                    + "\(rounded(measured.meanKL, 4)) nats, same most likely token "
                    + "\(rounded(100 * measured.topOneAgreement, 1)) %."
            ]
        }
        return (lines + [""]).joined(separator: "\n")
    }

    static func rounded(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "\(value)" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        return "\((value * scale).rounded() / scale)"
    }
}
