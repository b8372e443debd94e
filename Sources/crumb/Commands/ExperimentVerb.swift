import ArgumentParser
import CrumbEval
import CrumbFormats
import CrumbJSON
import CrumbPipeline
import CrumbReport
import Logging

extension Experiment: ExpressibleByArgument {}

/// `crumb experiment`: what the parts of the method bring, measured.
struct ExperimentVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "experiment",
        abstract: "Quantize a model in several ways and compare what each costs.",
        discussion: """
            share: 4-bit channels from none to all. outliers: their share under one budget. channels: which ones \
            have 4 bits. guidance: what the loss in the end has a say in, on a GPU. methods: rtn, gptq and full at 2, about 3 and 4 bits.

            Each variant is quantized, measured against MODEL on --text and removed again. The table is printed; \
            --output adds it as Markdown, with a chart beside it. A GPU takes seconds for a small model; the CPU \
            minutes for each variant.

            Example:
              crumb experiment share SmolLM2.gguf --text wiki.txt --portion second-half -o Docs/Experiments/smol

            Keys of --json: experiment, rows (name, bitsPerWeight, ratio, meanKL, topOneAgreement).
            """)

    @Argument(help: ArgumentHelp("share, outliers, channels, guidance or methods.", valueName: "name"))
    var experiment: Experiment

    @Argument(help: ArgumentHelp("The model to quantize: a GGUF file or a Hugging Face folder.", valueName: "model"))
    var model: String

    @Option(help: ArgumentHelp("The text to measure on (UTF-8).", valueName: "file"))
    var text: String

    @OptionGroup
    var measured: WindowArguments

    @Option(help: ArgumentHelp("Bits per weight, where an experiment does not set them.", valueName: "n"))
    var bits = 2.85

    @Option(help: ArgumentHelp("Text to calibrate on. (default: the built-in one)", valueName: "file"))
    var calibration: String?

    @Option(
        help: ArgumentHelp(
            "Tokens to calibrate on. (default: 32768, on a GPU 131072 where the text has them)", valueName: "n"))
    var calibrationTokens: Int?

    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: ArgumentHelp(
            "Start of the names of the files to write: NAME-share.md and NAME-share.svg.", valueName: "name"))
    var name: String?

    @OptionGroup(title: "Engine")
    var place: DeviceArguments

    @OptionGroup(title: "Output")
    var output: OutputArguments

    mutating func validate() throws {
        try require((2.2...5).contains(bits), "--bits is \(bits); the format spends between 2.2 and 5 bits per weight.")
    }

    func perform(_ console: Console) throws -> Outcome {
        Interrupts.exitOnInterrupt()
        let words = try TextFile.read(text)
        let files = name.map { ("\($0)-\(experiment.rawValue).md", "\($0)-\(experiment.rawValue).svg") }
        if let files { try TextFile.checkWritable(files.0) }
        var options = QuantizationOptions(modelPath: model, outputPath: (name ?? "crumb-experiment") + ".work")
        options.bits = bits
        options.calibration = calibration.map { .file($0) } ?? .builtIn
        options.calibrationTokens = calibrationTokens
        options.device = place.device
        let rows = try experiment.run(
            options, text: words, portion: measured.portion, context: measured.context, windows: measured.windows,
            logger: Logger(label: "crumb.experiment")
        ) { console.show(Console.Progress(label: $0.stage, fraction: $0.fraction)) }
        let report = ExperimentReport(experiment: experiment, model: FileSystem.lastComponent(of: model), rows: rows)
        if let files {
            try AtomicFile.write(report.markdown, to: files.0)
            try AtomicFile.write(report.chart, to: files.1)
        }
        return report.outcome
    }
}
