package import CrumbEval
import CrumbJSON

/// What a run made, for people and for `--json`.
package struct QuantizationSummary: Sendable {
    package var bitsPerWeight: Double
    package var linearWeights: Int
    /// Bytes of the linear layers: records and orders.
    package var linearBytes: Int
    /// Bytes of all tensors.
    package var totalBytes: Int
    package var headBits: Int
    package var embeddingBits: Int
    package var seconds: Double
    /// The process's largest resident set.
    package var peakMemoryBytes: Int
    /// Layers that a former run had done.
    package var resumedLayers: Int
    package var matrices: [MatrixReport]
    package var measured: MeasuredLoss?
}

/// One matrix of the report.
package struct MatrixReport: Sendable {
    package var name: String
    package var layer: Int
    package var kind: String
    package var bits: Double
    package var fourBitShare: Double
    /// |(W - Q) X|^2 / |W X|^2 on the calibration inputs.
    package var relativeOutputError: Double
    package var relativeWeightError: Double
}

/// What quantizing cost, on text that was not calibrated on.
package struct MeasuredLoss: Sendable {
    package var text: String
    package var tokens: Int
    package var sourcePerplexity: Double
    package var perplexity: Double
    package var standardError: Double
    package var meanKL: Double
    package var topOneAgreement: Double

    package init(
        text: String, tokens: Int, sourcePerplexity: Double, perplexity: Double, standardError: Double, meanKL: Double,
        topOneAgreement: Double
    ) {
        self.text = text
        self.tokens = tokens
        self.sourcePerplexity = sourcePerplexity
        self.perplexity = perplexity
        self.standardError = standardError
        self.meanKL = meanKL
        self.topOneAgreement = topOneAgreement
    }

    package init(_ result: Divergence, text: String) {
        self.init(
            text: text, tokens: result.quantized.tokens, sourcePerplexity: result.source.value,
            perplexity: result.quantized.value, standardError: result.quantized.standardError,
            meanKL: result.divergence.mean, topOneAgreement: result.agreement.mean)
    }

    /// The keys of `config.json`; see Docs/Format.md.
    func write(into measured: inout JSONObject) {
        measured["text"] = .string(text)
        measured["tokens"] = JSONValue(tokens)
        measured["source_perplexity"] = JSONValue(sourcePerplexity)
        measured["perplexity"] = JSONValue(perplexity)
        measured["mean_kl"] = JSONValue(meanKL)
        measured["top_one_agreement"] = JSONValue(topOneAgreement)
    }
}
