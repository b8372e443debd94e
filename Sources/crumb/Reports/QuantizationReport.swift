import CrumbFormats
import CrumbJSON
import CrumbPipeline
import CrumbQuant
import CrumbReport

/// What `crumb quantize` did, for people, for programs, and as a page.
struct QuantizationReport {
    let options: QuantizationOptions
    let summary: QuantizationSummary
    /// Of the source, for the page.
    var ranges: WeightRanges?
    /// Of the result, for the page.
    var channels: [ChannelMap] = []

    var outcome: Outcome { Outcome(text: text, json: json) }

    private var text: String {
        var table = TextTable([("", .left), ("", .left)])
        for fact in headline + details { table.append([fact.name, fact.value]) }
        return table.plain()
    }

    /// The page of `--report`.
    var page: String {
        QuantizationPage(
            title: "\(FileSystem.lastComponent(of: options.modelPath)), quantized", headline: headline, options: asked,
            details: details, errors: map(\.relativeOutputError), bits: map(\.bits),
            ranges: ranges.map { RangeReport(ranges: $0, model: "").bands }, channels: channels
        ).html()
    }

    private var headline: [QuantizationPage.Fact] {
        var facts = [
            fact("bits per weight", Figures.decimal(summary.bitsPerWeight, places: 3)),
            fact("all tensors", Figures.bytes(summary.totalBytes)),
        ]
        if let measured = summary.measured {
            let before = Figures.decimal(measured.sourcePerplexity, places: 2)
            let after = Figures.decimal(measured.perplexity, places: 2)
            facts.append(fact("perplexity (source: \(before))", after))
        }
        return facts + [
            fact("time", Figures.duration(summary.seconds)),
            fact("peak memory", Figures.bytes(summary.peakMemoryBytes)),
        ]
    }

    private var details: [QuantizationPage.Fact] {
        var facts = [
            fact(
                "linear layers",
                "\(Figures.count(summary.linearWeights)) weights in \(Figures.bytes(summary.linearBytes))"),
            fact("embedding", "\(summary.embeddingBits) bits"), fact("output head", "\(summary.headBits) bits"),
        ]
        if summary.resumedLayers > 0 {
            facts.append(fact("layers done before", "\(summary.resumedLayers)"))
        }
        if let measured = summary.measured {
            facts += [
                fact("measured on", "\(Figures.count(measured.tokens)) tokens of \(measured.text)"),
                fact("perplexity ratio", Figures.decimal(measured.perplexity / measured.sourcePerplexity, places: 3)),
                fact("mean KL divergence", Figures.decimal(measured.meanKL, places: 4) + " nats"),
                fact("same first choice", Figures.percent(measured.topOneAgreement)),
            ]
        }
        return facts
    }

    private var asked: [QuantizationPage.Fact] {
        [
            fact("model", options.modelPath), fact("--output", options.outputPath),
            fact("--bits", "\(options.bits)"),
            fact("--four-bit-share", options.fourBitShare.map { "\($0)" } ?? "as --bits allows"),
            fact("--outliers", "\(options.outlierShare)"), fact("--method", options.method.rawValue),
            fact("--calibration", "\(options.calibration)"),
            fact("--calibration-tokens", options.calibrationTokens.map { "\($0)" } ?? "as many as are of use"),
            fact("--guidance", options.guidance.rawValue), fact("--seed", "\(options.seed)"),
        ]
    }

    /// The figures of all matrices by kind and layer.
    private func map(_ figure: (MatrixReport) -> Double) -> LayerMap? {
        var kinds: [String] = []
        for matrix in summary.matrices where !kinds.contains(matrix.kind) { kinds.append(matrix.kind) }
        guard !kinds.isEmpty else { return nil }
        let layers = (summary.matrices.map(\.layer).max() ?? 0) + 1
        var values = [[Double?]](repeating: [Double?](repeating: nil, count: layers), count: kinds.count)
        for matrix in summary.matrices {
            if let kind = kinds.firstIndex(of: matrix.kind) { values[kind][matrix.layer] = figure(matrix) }
        }
        return LayerMap(kinds: kinds.map { $0 + "_proj" }, values: values)
    }

    private var json: JSONObject {
        [
            "bitsPerWeight": JSONValue(summary.bitsPerWeight), "linearWeights": JSONValue(summary.linearWeights),
            "linearBytes": JSONValue(summary.linearBytes), "totalBytes": JSONValue(summary.totalBytes),
            "seconds": JSONValue(summary.seconds), "peakMemoryBytes": JSONValue(summary.peakMemoryBytes),
            "headBits": JSONValue(summary.headBits), "embeddingBits": JSONValue(summary.embeddingBits),
            "resumedLayers": JSONValue(summary.resumedLayers), "output": .string(options.outputPath),
            "measured": summary.measured.map { .object(json($0)) } ?? .null,
            "matrices": .array(summary.matrices.map { .object(json($0)) }),
        ]
    }

    private func json(_ measured: MeasuredLoss) -> JSONObject {
        [
            "text": .string(measured.text), "tokens": JSONValue(measured.tokens),
            "sourcePerplexity": JSONValue(measured.sourcePerplexity), "perplexity": JSONValue(measured.perplexity),
            "standardError": JSONValue(measured.standardError), "meanKL": JSONValue(measured.meanKL),
            "topOneAgreement": JSONValue(measured.topOneAgreement),
        ]
    }

    private func json(_ matrix: MatrixReport) -> JSONObject {
        [
            "name": .string(matrix.name), "bits": JSONValue(matrix.bits),
            "fourBitShare": JSONValue(matrix.fourBitShare),
            "relativeOutputError": JSONValue(matrix.relativeOutputError),
            "relativeWeightError": JSONValue(matrix.relativeWeightError),
        ]
    }

    private func fact(_ name: String, _ value: String) -> QuantizationPage.Fact { QuantizationPage.Fact(name, value) }
}
