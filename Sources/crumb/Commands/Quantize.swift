import ArgumentParser
import CrumbEngine
import CrumbFormats
import CrumbPipeline
import CrumbReport
import CrumbThreads
import Logging

/// `crumb quantize`: a model in, a folder of 2/4/16-bit weights out.
struct Quantize: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Shrink a model to a budget of bits per weight.",
        discussion: """
            MODEL is a GGUF file or a Hugging Face folder (config.json, safetensors, tokenizer.json). OUT \
            becomes a Hugging Face folder with packed weights, which run, chat, eval, inspect and bench \
            read.

            Each linear layer's weights get 2 or 4 bits, and a few outliers 16; which get more is decided \
            by the error they cause on a calibration text. The embedding and the output head are outside \
            the budget and have options of their own. An NVIDIA GPU does the work where there is one with \
            cuBLAS, else the CPU; `crumb tune` then makes the result much better, on a GPU.

            Afterwards the result is compared with MODEL on text it was not calibrated on. What that gives is \
            written into config.json and README.md; where the result diverges by more than \
            --max-divergence, it is not kept, and the exit code is 4.

            Work is kept after every layer. After Ctrl-C or a crash, the same command goes on from there \
            and ends with the same bytes; --no-resume starts afresh.

            Examples:
              crumb quantize SmolLM2.gguf -o smol
              crumb quantize ./Qwen2.5 -o qwen --calibration code.txt --report q.html
              crumb quantize SmolLM2.gguf -o smol4 --four-bit-share 1 --outliers 0

            Keys of --json: bitsPerWeight, linearWeights, linearBytes, totalBytes, seconds, \
            peakMemoryBytes, and more.
            """)

    @Argument(help: ArgumentHelp("The model to quantize: a GGUF file or a Hugging Face folder.", valueName: "model"))
    var model: String

    @OptionGroup
    var target: TargetArguments

    @OptionGroup(title: "Size")
    var size: SizeArguments

    @OptionGroup(title: "Method")
    var method: MethodArguments

    @OptionGroup(title: "Work")
    var work: WorkArguments

    @OptionGroup(title: "Engine")
    var place: DeviceArguments

    @OptionGroup(title: "Output")
    var output: OutputArguments

    mutating func validate() throws {
        try asUsage(options.check)
    }

    func perform(_ console: Console) throws -> Outcome {
        Interrupts.exitOnInterrupt()
        if let report = work.report { try TextFile.checkWritable(report) }
        let run = QuantizationRun(options, logger: Logger(label: "crumb.quantize")) { progress in
            console.show(Console.Progress(label: progress.stage, fraction: progress.fraction))
        }
        let summary = try run.run { lines in lines.forEach(console.note) }
        var report = QuantizationReport(options: options, summary: summary)
        if let path = work.report {
            try collectCharts(for: &report, console)
            try AtomicFile.write(report.page, to: path)
        }
        return report.outcome
    }

    /// What the page shows beside the figures of the run: the weights before and after.
    private func collectCharts(for report: inout QuantizationReport, _ console: Console) throws {
        let pool = work.threads.map { ThreadPool(threadCount: $0) } ?? ThreadPool()
        let source = try ModelLoader(pool: pool, logger: Logger(label: "crumb.quantize")).load(options.modelPath)
        report.ranges = try WeightRanges(source) {
            console.show(Console.Progress(label: "ranges of the groups", fraction: $0))
        }
        var collector = try PlotCollector(Inspection(options.outputPath))
        report.channels = try collector.collect { layer, count in
            console.show(
                Console.Progress(label: "4-bit channels and outliers", fraction: Double(layer) / Double(count)))
        }.channels
    }

    private var options: QuantizationOptions {
        var options = QuantizationOptions(modelPath: model, outputPath: target.folder)
        options.bits = size.bits
        options.fourBitShare = size.fourBitShare
        options.outlierShare = size.outliers
        options.headBits = size.headBits.count
        options.embeddingBits = size.embeddingBits.count
        options.method = method.method
        options.calibration = method.calibrationSource
        options.calibrationTokens = method.calibrationTokens
        options.guidance = method.guidance
        options.seed = method.seed
        options.measures = method.measure
        options.maxDivergence = method.maxDivergence
        options.keepsAnything = method.force
        options.device = place.device
        options.threads = work.threads ?? 0
        options.maxMemoryBytes = work.maxMemory?.bytes
        options.resume = work.resume
        return options
    }
}
