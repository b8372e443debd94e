import CrumbCUDA
import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbModel
import CrumbThreads
import CrumbTune
import Glibc
package import Logging

/// Tunes a quantized folder into another one.
package struct TuningRun {
    private let options: TuningOptions
    private let logger: Logger
    private let progress: (QuantizationProgress) throws -> Void

    /// Shares of the whole that are thought to be done when the text is there, the model is on the card, and all steps
    /// are made.
    private static let textShare = 0.15
    private static let uploadShare = 0.2
    private static let stepsShare = 0.9

    /// - Parameter progress: Called often; what it throws stops the run, and nothing is left behind.
    package init(
        _ options: TuningOptions, logger: Logger, progress: @escaping (QuantizationProgress) throws -> Void
    ) {
        self.options = options
        self.logger = logger
        self.progress = progress
    }

    /// Does all of it.
    ///
    /// - Throws: `PipelineError`, `TuneError`, `CUDAError` and the errors of the rooms it uses, each one sentence. The
    ///   output folder does not exist then.
    package func run() throws -> TuningSummary {
        let clock = ContinuousClock()
        let start = clock.now
        try options.check()
        try PartialFolder.checkFree(options.outputPath)
        let pool = options.threads > 0 ? ThreadPool(threadCount: options.threads) : ThreadPool()
        let quantized = try load(options.modelPath, pool: pool)
        guard quantized.quantization != nil else {
            throw PipelineError("\(options.modelPath) is not quantized; run crumb quantize first")
        }
        let source = try load(options.sourcePath, pool: pool)
        guard source.quantization == nil else {
            throw PipelineError("\(options.sourcePath) is quantized; give the model that it was made from")
        }
        try quantized.checkSameVocabulary(as: source)
        let text = try text(source)
        let tuner = try makeTuner(source, quantized, pool: pool)
        let divergences = try makeSteps(tuner, text, checking: [source, quantized])
        let tuned = try tuner.result(pool: pool)
        let folder = TunedFolder(options: options, quantized: quantized, weights: tuned)
        try folder.write()
        do {
            var summary = TuningSummary(
                steps: options.tuning.steps, texts: text.texts.count, context: options.context,
                divergences: divergences, seconds: 0)
            if options.measures, !text.heldOut.isEmpty { summary.measured = try measure(source, folder.path, text) }
            summary.seconds = start.duration(to: clock.now).seconds
            try folder.finish(summary)
            try progress(QuantizationProgress(stage: "done", fraction: 1))
            return summary
        } catch {
            folder.remove()
            throw error
        }
    }

    private func load(_ path: String, pool: ThreadPool) throws -> LoadedModel {
        try ModelLoader(pool: pool, logger: logger).load(path)
    }

    private func onCard(_ model: LoadedModel) throws -> LoadedModel {
        try ModelLoader(device: .cuda(options.card), pool: model.pool, logger: logger).placed(model)
    }

    /// The source is on the card only while it writes.
    private func text(_ source: LoadedModel) throws -> TuningText {
        try TuningText(options, source: source, writer: { try onCard(source) }) { share in
            try progress(QuantizationProgress(stage: "writing text", fraction: share * Self.textShare))
        }
    }

    private func makeTuner(_ source: LoadedModel, _ quantized: LoadedModel, pool: ThreadPool) throws -> Tuner {
        let card = try Card(options.card, logger: logger)
        guard let blas = card.blas else {
            throw PipelineError("tuning needs cuBLAS: \(card.blasProblem.map { "\($0)" } ?? "it was not found")")
        }
        return try Tuner(
            source: source.forward.weights, quantized: quantized.forward.weights, source.configuration,
            options: options.tuning, length: options.context, library: card.library, blas: blas, pool: pool
        ) { share in
            let part = Self.textShare + share * (Self.uploadShare - Self.textShare)
            try progress(QuantizationProgress(stage: "copying to the card", fraction: part))
        }
    }

    /// - Returns: The divergence of each step's texts.
    private func makeSteps(_ tuner: Tuner, _ text: TuningText, checking models: [LoadedModel]) throws -> [Double] {
        var random = RandomStream(seed: options.tuning.seed)
        var order: [Int] = []
        var divergences: [Double] = []
        for step in 0..<options.tuning.steps {
            // Texts that are left over at the end of a round come first in no other: rounds are shuffled anew.
            if order.count < options.tuning.texts { order = text.texts.indices.shuffled(using: &random) }
            let texts = order.prefix(options.tuning.texts).map { text.texts[$0] }
            order.removeFirst(options.tuning.texts)
            divergences.append(try tuner.step(texts))
            guard let last = divergences.last, last.isFinite else {
                throw PipelineError(
                    "the divergence is not a number after \(step + 1) steps; try lower rates, such as --code-rate 0.0003"
                )
            }
            if step % 16 == 0 { for model in models { try model.checkpoint.checkUnchanged() } }
            let mean = TuningSummary.recentMean(divergences)
            try progress(
                QuantizationProgress(
                    stage: "step \(step + 1) of \(options.tuning.steps), divergence \(ModelCard.rounded(mean, 4))",
                    fraction: Self.uploadShare + Double(step + 1) / Double(options.tuning.steps)
                        * (Self.stepsShare - Self.uploadShare)))
        }
        return divergences
    }

    /// Perplexity of source and result, and their divergence, on text that was not tuned on.
    private func measure(_ source: LoadedModel, _ folder: String, _ text: TuningText) throws -> MeasuredLoss {
        let source = try onCard(source)
        let quantized = try onCard(load(folder, pool: source.pool))
        let windows = try EvaluationWindows(
            tokens: text.heldOut, beginning: text.beginning, context: options.context)
        let result = try Divergence.measure(
            source: source.decoder, quantized: quantized.decoder, windows: windows, pool: source.pool
        ) { step in
            let share = Double(step.block) / Double(max(step.totalBlocks, 1))
            try progress(
                QuantizationProgress(stage: "measuring", fraction: Self.stepsShare + share * (1 - Self.stepsShare)))
        }
        return MeasuredLoss(
            result, text: options.textPaths.isEmpty ? "\(CalibrationSource.builtIn)" : "the texts tuned on")
    }
}

/// What tuning did, for people and for `--json`.
package struct TuningSummary: Sendable {
    package var steps: Int
    /// Texts that were tuned on, and tokens of each.
    package var texts: Int
    package var context: Int
    /// Before each step, in nats a token.
    package var divergences: [Double]
    package var seconds: Double
    package var measured: MeasuredLoss?

    /// Of the last steps' divergences: single ones differ by their texts.
    package static func recentMean(_ divergences: [Double]) -> Double {
        let recent = divergences.suffix(16)
        return recent.reduce(0, +) / Double(max(recent.count, 1))
    }

    package init(steps: Int, texts: Int, context: Int, divergences: [Double], seconds: Double) {
        self.steps = steps
        self.texts = texts
        self.context = context
        self.divergences = divergences
        self.seconds = seconds
    }
}
