import CrumbEngine
package import CrumbEval
import CrumbModel
import CrumbQuant
import CrumbThreads
import CrumbTokenizer
package import Logging

/// One of the paper's experiments: a model quantized in several ways, and what each costs.
package enum Experiment: String, Sendable, CaseIterable {
    /// The share of 4-bit channels, from none to all, the same in every matrix.
    case share
    /// The share of outliers under one budget, in the 2-bit part and everywhere.
    case outliers
    /// Which channels have 4 bits, under one budget.
    case channels
    /// Whether rows share their 4-bit groups, under one budget and without outliers.
    case alignment
    /// Scales quantized a second time, or one fp16 number for each group: under one budget, and with the same channels.
    case scales
    /// What the loss in the end has a say in.
    case guidance
    /// How codes are found, at plain 2, 3 and 4 bits: channels as they come, no outliers, every token counts by its size.
    case methods

    /// What it is about, for a title.
    package var title: String {
        switch self {
        case .share: "accuracy against the share of 4-bit channels"
        case .outliers: "what outliers bring under one budget"
        case .channels: "which channels have 4 bits"
        case .alignment: "rows that share their 4-bit groups, and rows that choose"
        case .scales: "scales of first and second order"
        case .guidance: "what the loss in the end has a say in"
        case .methods: "how codes are found, at plain 2, 3 and 4 bits"
        }
    }

    /// One way to quantize.
    package struct Variant: Sendable {
        package let name: String
        let change: @Sendable (inout QuantizationOptions) -> Void
    }

    package var variants: [Variant] {
        switch self {
        case .share:
            (0...10).map { tenth in
                Variant(name: "\(10 * tenth) %") { $0.fourBitShare = Double(tenth) / 10 }
            }
        case .outliers:
            [0, 0.001, 0.002, 0.004, 0.008, 0.016].map { Self.outliers($0, everywhere: false) }
                + [0.002, 0.004].map { Self.outliers($0, everywhere: true) }
        case .channels:
            ChannelPreference.allCases.map { preference in
                Variant(name: preference.rawValue) { $0.preference = preference }
            }
        case .alignment:
            // Neighbours are the groups where channels stay as they come.
            [("sorted", ChannelPreference.sensitivity, .sensitivity), ("as they come", .blocks, .source)]
                .flatMap { name, shared, own in
                    [
                        Variant(name: "\(name), shared") {
                            $0.preference = shared
                            $0.outlierShare = 0
                        },
                        Variant(name: "\(name), by row") {
                            $0.preference = own
                            $0.outlierShare = 0
                            $0.storage.choosesGroups = true
                        },
                    ]
                }
        case .scales:
            [nil, 0.3].flatMap { share in
                [false, true].map { isFirst in
                    let name = isFirst ? "first order" : "second order"
                    return Variant(name: name + (share == nil ? "" : ", 30 % 4-bit")) {
                        $0.fourBitShare = share
                        $0.storage.hasFirstOrderScales = isFirst
                    }
                }
            }
        case .guidance:
            LossGuidance.allCases.map { guidance in
                Variant(name: guidance.rawValue) { $0.guidance = guidance }
            }
        case .methods:
            (2...4).flatMap { bits in
                QuantizationMethod.allCases.map { method in
                    Variant(name: "\(method.rawValue), \(bits) bits") {
                        $0.method = method
                        $0.preference = .source
                        $0.outlierShare = 0
                        $0.guidance = .none
                        $0.fourBitShare = bits == 4 ? 1 : 0
                        $0.storage.narrowBits = bits == 3 ? 3 : 2
                    }
                }
            } + [Variant(name: "as quantize does") { _ in }]
        }
    }

    private static func outliers(_ share: Double, everywhere: Bool) -> Variant {
        Variant(name: ModelCard.rounded(100 * share, 1) + (everywhere ? " %, everywhere" : " %")) {
            $0.outlierShare = share
            $0.storage.hasOutliersEverywhere = everywhere
        }
    }

    /// What a variant came to.
    package struct Row: Sendable {
        package let name: String
        package let bitsPerWeight: Double
        /// Of the perplexities, quantized to source.
        package let ratio: Double
        package let meanKL: Double
        package let topOneAgreement: Double
    }

    /// Quantizes with every variant of `base` and measures each on a text.
    ///
    /// - Parameters:
    ///   - base: Model, budget, calibration, device. Results are made under its output path and removed again.
    ///   - text: What is measured on.
    ///   - windows: At most so many of `context` tokens.
    /// - Throws: as `QuantizationRun` and `Divergence.measure`.
    package func run(
        _ base: QuantizationOptions, text: String, portion: TextPortion, context: Int, windows limit: Int?,
        logger: Logger, progress: @escaping (QuantizationProgress) throws -> Void
    ) throws -> [Row] {
        let pool = base.threads > 0 ? ThreadPool(threadCount: base.threads) : ThreadPool()
        let loader = ModelLoader(device: base.device, pool: pool, logger: logger)
        let source = try loader.load(base.modelPath)
        let windows = try EvaluationWindows(
            tokens: source.tokenizer.encode(text, addSpecialTokens: false), beginning: source.beginningToken,
            context: context, limit: limit, portion: portion)
        return try variants.enumerated().map { index, variant in
            func report(_ share: Double) throws {
                try progress(
                    QuantizationProgress(
                        stage: "\(rawValue): \(variant.name)",
                        fraction: (Double(index) + share) / Double(variants.count)))
            }
            try report(0)
            var options = base
            options.outputPath = base.outputPath + ".\(rawValue)-\(index)"
            options.measures = false
            options.resume = false
            variant.change(&options)
            let summary = try QuantizationRun(options, logger: logger) { try report(0.8 * $0.fraction) }.run { _ in }
            defer { PartialFolder(path: options.outputPath).remove() }
            let quantized = try loader.load(options.outputPath)
            let result = try Divergence.measure(
                source: source.decoder, quantized: quantized.decoder, windows: windows, pool: pool)
            return Row(
                name: variant.name, bitsPerWeight: summary.bitsPerWeight, ratio: result.ratio,
                meanKL: result.divergence.mean, topOneAgreement: result.agreement.mean)
        }
    }
}
