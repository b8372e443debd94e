import ArgumentParser
import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbJSON
import CrumbPipeline
import CrumbThreads
import Logging

/// What can be asked for by name.
enum ExperimentName: ExpressibleByArgument {
    case variants(Experiment)
    /// The weights as they are: nothing is quantized.
    case ranges

    init?(argument: String) {
        if argument == "ranges" {
            self = .ranges
        } else if let experiment = Experiment(rawValue: argument) {
            self = .variants(experiment)
        } else {
            return nil
        }
    }

    static var allValueStrings: [String] { Experiment.allCases.map(\.rawValue) + ["ranges"] }

    var name: String {
        switch self {
        case .variants(let experiment): experiment.rawValue
        case .ranges: "ranges"
        }
    }
}

/// `crumb experiment`: what the parts of the method bring, measured.
struct ExperimentVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "experiment",
        abstract: "Quantize a model in several ways and compare what each costs.",
        discussion: """
            share: 4-bit channels from none to all. outliers: their share under one budget, in the 2-bit part and \
            everywhere. channels: which ones have 4 bits, by activations, ranges, both, or place. alignment: groups \
            of 4 bits that rows share, and that each row chooses. scales: quantized a second time, or fp16 for \
            each group. guidance: what the loss in the end has a say in, on a GPU. methods: rtn, gptq and full at \
            plain 2, 3 and 4 bits, and what quantize does. ranges: largest minus smallest weight of the groups in \
            every layer; quantizes nothing and needs no --text.

            Each variant is quantized, measured against MODEL on --text and removed again. The table is printed; \
            --output adds it as Markdown, with a chart beside it. A GPU takes seconds for a small model; the CPU \
            minutes for each variant. Variants that the packed format does not hold (outliers everywhere, groups \
            by row, scales of first order, 3 bits) are measured with weights of 16 bits; their bits are what a \
            layout for them would take.

            Examples:
              crumb experiment share SmolLM2.gguf --text wiki.txt --portion second-half -o Docs/Experiments/smol
              crumb experiment ranges SmolLM2.gguf -o Docs/Experiments/smol

            Keys of --json: experiment, rows (name, bitsPerWeight, ratio, meanKL, topOneAgreement); of ranges: \
            experiment, matrices (kind, layer, quantiles of 5, 25, 50, 75 and 95 %, largest).
            """)

    @Argument(help: ArgumentHelp("Which of them.", valueName: "name"))
    var experiment: ExperimentName

    @Argument(help: ArgumentHelp("The unquantized model: a GGUF file or a Hugging Face folder.", valueName: "model"))
    var model: String

    @Option(help: ArgumentHelp("The text to measure on (UTF-8).", valueName: "file"))
    var text: String?

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
        if case .variants = experiment {
            try require(text != nil, "--text is missing: the text to measure on, for every experiment but ranges.")
        }
    }

    func perform(_ console: Console) throws -> Outcome {
        Interrupts.exitOnInterrupt()
        let files = name.map { ("\($0)-\(experiment.name).md", "\($0)-\(experiment.name).svg") }
        if let files { try TextFile.checkWritable(files.0) }
        func keep(_ markdown: String, _ chart: String) throws {
            guard let files else { return }
            try AtomicFile.write(markdown, to: files.0)
            try AtomicFile.write(chart, to: files.1)
        }
        switch experiment {
        case .variants(let experiment):
            let report = ExperimentReport(
                experiment: experiment, model: FileSystem.lastComponent(of: model), rows: try rows(experiment, console))
            try keep(report.markdown, report.chart)
            return report.outcome
        case .ranges:
            let source = try ModelLoader(pool: ThreadPool(), logger: Logger(label: "crumb.experiment")).load(model)
            let ranges = try WeightRanges(source) {
                console.show(Console.Progress(label: "ranges of the groups", fraction: $0))
            }
            let report = RangeReport(ranges: ranges, model: FileSystem.lastComponent(of: model))
            try keep(report.markdown, report.chart)
            return report.outcome
        }
    }

    private func rows(_ experiment: Experiment, _ console: Console) throws -> [Experiment.Row] {
        let words = try TextFile.read(text ?? "")
        var options = QuantizationOptions(modelPath: model, outputPath: (name ?? "crumb-experiment") + ".work")
        options.bits = bits
        options.calibration = calibration.map { .file($0) } ?? .builtIn
        options.calibrationTokens = calibrationTokens
        options.device = place.device
        return try experiment.run(
            options, text: words, portion: measured.portion, context: measured.context, windows: measured.windows,
            logger: Logger(label: "crumb.experiment")
        ) { console.show(Console.Progress(label: $0.stage, fraction: $0.fraction)) }
    }
}
