package import CrumbTune

/// What `crumb tune` can be asked for.
package struct TuningOptions: Sendable {
    /// A folder that `crumb quantize` wrote.
    package var modelPath: String
    /// The model that was quantized.
    package var sourcePath: String
    /// The folder to make; must not exist.
    package var outputPath: String
    /// Texts to tune on; empty for the one that is part of the program.
    package var textPaths: [String] = []
    /// Tokens that the source model writes itself, to be tuned on as well.
    package var ownTokens = 2_097_152
    /// A file that they are kept in for other runs.
    package var ownTextPath: String?
    /// Tokens of a text.
    package var context = 512
    /// Number of the GPU.
    package var card = 0
    package var threads = 0
    /// Whether perplexity and divergence are measured afterwards on text that was not tuned on.
    package var measures = true
    package var tuning = TuneOptions()

    package init(modelPath: String, sourcePath: String, outputPath: String) {
        self.modelPath = modelPath
        self.sourcePath = sourcePath
        self.outputPath = outputPath
    }

    /// - Throws: `PipelineError` for a number out of range.
    package func check() throws {
        func require(_ holds: Bool, _ sentence: @autoclosure () -> String) throws {
            if !holds { throw PipelineError(sentence()) }
        }
        try require(!outputPath.isEmpty, "the output folder has no name; give one with -o")
        try require(
            (64...4096).contains(context) && context % 8 == 0,
            "--context is \(context), but must be a multiple of 8 from 64 to 4096")
        try require(
            (0...67_108_864).contains(ownTokens), "--own-tokens is \(ownTokens), but must lie between 0 and 67108864")
        try require(
            (1...1_000_000).contains(tuning.steps), "--steps is \(tuning.steps), but 1 to 1000000 can be made")
        try require(
            (1...4096).contains(tuning.texts), "--texts-per-step is \(tuning.texts), but 1 to 4096 are possible")
        for (name, rate) in [
            ("--code-rate", tuning.rates.codes), ("--scale-rate", tuning.rates.scales),
            ("--norm-rate", tuning.rates.vectors),
        ] {
            try require((0...1).contains(rate), "\(name) is \(rate), but must lie between 0 and 1")
        }
    }
}
