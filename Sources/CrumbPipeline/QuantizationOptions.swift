package import CrumbEngine
package import CrumbQuant

/// What `crumb quantize` can be asked for.
package struct QuantizationOptions: Sendable {
    /// A GGUF file or a Hugging Face folder.
    package var modelPath: String
    /// The folder to make; must not exist. Work in progress lies beside it under `outputPath + ".partial"`.
    package var outputPath: String
    /// Budget over the linear layers, everything of theirs in: codes, scales, outliers, orders, padding.
    package var bits = 2.85
    /// Share of the input channels with 4-bit codes, the same for every matrix; nil lets the budget decide.
    package var fourBitShare: Double?
    /// Share of the 2-bit weights kept in 16 bits.
    package var outlierShare = 0.002
    package var method = QuantizationMethod.full
    /// Which channels have 4 bits.
    package var preference = ChannelPreference.sensitivity
    /// An experiment's; what is not packed makes a folder of dense weights, and cannot be resumed.
    package var storage = StorageVariant()
    package var calibration = CalibrationSource.builtIn
    /// Tokens to calibrate on; nil for as many as are worth their time: on a GPU up to four times the CPU's.
    package var calibrationTokens: Int?
    /// What a backward pass of the source may say; on a GPU only.
    package var guidance = LossGuidance.full
    package var seed: UInt64 = 0
    /// Where layers are quantized and the result is measured.
    package var device = DeviceChoice.automatic
    /// Threads of the CPU; 0 for as many as the machine has.
    package var threads = 0
    /// Bytes of memory the run may take; nil for no limit. A run that cannot keep it does not start.
    package var maxMemoryBytes: Int?
    /// Goes on from the layers a stopped run has left.
    package var resume = true
    /// Bits of the output head: 16, 8, 4, or nil for the default.
    package var headBits: Int?
    /// Bits of the embedding: 16, 8, 4, or nil for the default. Tied to the head, the larger of the two holds for both.
    package var embeddingBits: Int?
    /// Whether perplexity and divergence are measured afterwards on text that was not calibrated on.
    package var measures = true
    /// Most divergence from the source, in nats a token, that a result may have; see `ExcessiveLoss`.
    package var maxDivergence = 1.0
    /// Keeps a result whatever it lost.
    package var keepsAnything = false

    package init(modelPath: String, outputPath: String) {
        self.modelPath = modelPath
        self.outputPath = outputPath
    }

    /// Outliers for each 2-bit tile of 32 x 64 weights.
    package var outliersPerTile: Int { Int((outlierShare * 2048).rounded()) }

    /// - Throws: `PipelineError` for a number out of range.
    package func check() throws {
        func require(_ holds: Bool, _ sentence: @autoclosure () -> String) throws {
            if !holds { throw PipelineError(sentence()) }
        }
        try require(
            bits >= 2.2 && bits <= 5, "--bits is \(bits), but the format spends between 2.2 and 5 bits per weight")
        if let share = fourBitShare {
            try require((0...1).contains(share), "--four-bit-share is \(share), but a share lies between 0 and 1")
        }
        try require(
            (0...0.03125).contains(outlierShare),
            "--outliers is \(outlierShare), but the format has room for shares from 0 to 0.03125")
        precondition(
            !storage.choosesGroups || outlierShare == 0, "outliers have no regions where rows choose their groups")
        try require(!outputPath.isEmpty, "the output folder has no name; give one with -o")
        try require(maxDivergence > 0, "--max-divergence is \(maxDivergence), but must be above 0")
        if let calibrationTokens {
            try require(
                (256...16_777_216).contains(calibrationTokens),
                "--calibration-tokens is \(calibrationTokens), but at least 256 and at most 16777216 are of use")
        }
        for (name, value) in [("--head-bits", headBits), ("--embedding-bits", embeddingBits)] {
            guard let value else { continue }
            try require([4, 8, 16].contains(value), "\(name) is \(value), but 4, 8 and 16 are known")
        }
        try require((0...256).contains(threads), "--threads is \(threads), but 1 to 256 threads can run")
    }
}

/// What the loss in the end, as a backward pass of the source over the calibration text shows it, has a say in.
package enum LossGuidance: String, Sendable, CaseIterable {
    case none
    /// Which matrices get the 4-bit channels.
    case budget
    /// What each token counts for in a matrix's statistics.
    case tokens
    /// Both.
    case full

    var spreadsBudget: Bool { self == .budget || self == .full }
    var weighsTokens: Bool { self == .tokens || self == .full }
}

/// Where the calibration text comes from.
package enum CalibrationSource: Sendable, Equatable, CustomStringConvertible {
    /// The text that is part of the program: encyclopedia, stories, talk, code, twenty languages.
    case builtIn
    case file(String)
    /// The source model writes it, at temperature 1.
    case ownText

    package var description: String {
        switch self {
        case .builtIn: "the built-in text"
        case .file(let path): path
        case .ownText: "text that the source model writes itself"
        }
    }
}

/// The result is too far from its source to be of use, and was not kept.
///
/// The limit, 1 nat a token by default, lies between SmolLM2-135M at 2.85 bits, which has lost much and still answers (0.74 on
/// the built-in text, perplexity twice its source's), and with 2 bits and no outliers (1.69, five times).
package struct ExcessiveLoss: Error, Sendable, CustomStringConvertible {
    package let measured: MeasuredLoss
    package let limit: Double

    package var description: String {
        "the result was not kept: on \(measured.text) it diverges from the source by "
            + "\(ModelCard.rounded(measured.meanKL, 3)) nats a token, above the limit of \(limit), and perplexity rose from "
            + "\(ModelCard.rounded(measured.sourcePerplexity, 2)) to \(ModelCard.rounded(measured.perplexity, 2)); give more "
            + "--bits or calibrate on other text, or keep it all the same with --force"
    }

    /// - Throws: itself where the loss is above the limit, or is no number.
    static func check(_ measured: MeasuredLoss, limit: Double) throws(ExcessiveLoss) {
        guard measured.meanKL <= limit else { throw ExcessiveLoss(measured: measured, limit: limit) }
    }
}

/// Why a model cannot be quantized, in one sentence.
package struct PipelineError: Error, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// Where a run is, for a progress bar.
package struct QuantizationProgress: Sendable {
    /// What is being done, in a few words.
    package var stage: String
    /// Done so far, from 0 to 1, over the whole run.
    package var fraction: Double
}
