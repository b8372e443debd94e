import ArgumentParser
import CrumbEngine
import CrumbJSON
import CrumbPipeline
import CrumbReport
import CrumbTune
import Logging

/// `crumb tune`: moves a quantized model's numbers until it says what its source says.
struct Tune: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Bring a quantized model closer to its source, on a GPU.",
        discussion: """
            Codes, scales, outliers, norms and biases of MODEL, a folder that `crumb quantize` wrote, are moved \
            together by gradient descent until its predictions are those of SOURCE, the model it was made \
            from, as nearly as its bits allow. Bits and speed stay the same. OUT becomes a folder like MODEL.

            It runs on an NVIDIA GPU with bf16 (Ampere and later) and cuBLAS, and takes about 16 bytes of its \
            memory for each weight.

            Examples:
              crumb tune smol --source SmolLM2.gguf -o smol-tuned
              crumb tune qwen --source Qwen.gguf -o qwen-tuned --text code.txt --text book.txt --steps 600

            Keys of --json: steps, texts, context, divergence (of the last steps, in nats a token), perplexity, \
            sourcePerplexity, meanKL, topOneAgreement (on text not tuned on), seconds.
            """)

    @Argument(help: ArgumentHelp("The quantized folder.", valueName: "model"))
    var model: String

    @Option(help: ArgumentHelp("The model it was made from.", valueName: "source"))
    var source: String

    @OptionGroup
    var target: TargetArguments

    @OptionGroup(title: "Text")
    var text: TuneTextArguments

    @OptionGroup(title: "Method")
    var method: TuneMethodArguments

    @OptionGroup(title: "Engine")
    var place: DeviceArguments

    @OptionGroup(title: "Output")
    var output: OutputArguments

    mutating func validate() throws {
        try require(place.device != .cpu, "crumb tune needs a GPU; --device cpu cannot be given.")
        try asUsage(options.check)
    }

    func perform(_ console: Console) throws -> Outcome {
        Interrupts.exitOnInterrupt()
        let run = TuningRun(options, logger: Logger(label: "crumb.tune")) { progress in
            console.show(Console.Progress(label: progress.stage, fraction: progress.fraction))
        }
        return TuningReport(summary: try run.run()).outcome
    }

    private var options: TuningOptions {
        var options = TuningOptions(modelPath: model, sourcePath: source, outputPath: target.folder)
        options.textPaths = text.text
        options.ownTokens = text.ownTokens
        options.ownTextPath = text.ownText
        options.context = text.context
        options.measures = text.measure
        options.card = place.device.index
        options.tuning.steps = method.steps
        options.tuning.texts = method.textsPerStep
        options.tuning.rates.codes = method.codeRate
        options.tuning.rates.scales = method.scaleRate
        options.tuning.rates.vectors = method.normRate
        options.tuning.seed = method.seed
        return options
    }
}

/// What a model is tuned on.
struct TuneTextArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Text to tune on (UTF-8); may be given several times. (default: the text that is part of the program)",
            valueName: "file"))
    var text: [String] = []

    @Option(help: ArgumentHelp("Tokens that the source writes itself, to be tuned on as well.", valueName: "n"))
    var ownTokens = 2_097_152

    @Option(
        help: ArgumentHelp(
            "Keep those tokens in a file, and take them from there when it is there: for other budgets of the same source.",
            valueName: "file"))
    var ownText: String?

    @Option(help: ArgumentHelp("Tokens of a piece of text.", valueName: "n"))
    var context = 512

    @Flag(inversion: .prefixedNo, help: "Measure perplexity afterwards, on text not tuned on, for the card.")
    var measure = true
}

/// How far the numbers go.
struct TuneMethodArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Steps; more is better and slower.", valueName: "n"))
    var steps = 1000

    @Option(help: ArgumentHelp("Pieces of text that a step looks at.", valueName: "n"))
    var textsPerStep = 8

    @Option(help: ArgumentHelp("How far a weight goes in a step, in units of its scale.", valueName: "x"))
    var codeRate: Float = 2e-3

    @Option(help: ArgumentHelp("How far a scale goes in a step, as a share of itself.", valueName: "x"))
    var scaleRate: Float = 1e-3

    @Option(help: ArgumentHelp("How far norms and biases go in a step.", valueName: "x"))
    var normRate: Float = 1e-4

    @Option(help: ArgumentHelp("Start of the random numbers.", valueName: "n"))
    var seed: UInt64 = 0
}
