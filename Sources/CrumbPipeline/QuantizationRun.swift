import CrumbABI
import CrumbBLAS
import CrumbCUDA
import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbQuant
import CrumbTensor
import CrumbThreads
import CrumbTune
import Glibc
package import Logging

/// Quantizes a model from a checkpoint to a finished folder.
package struct QuantizationRun {
    var options: QuantizationOptions
    let logger: Logger
    let progress: (QuantizationProgress) throws -> Void
    private let names = TensorNames()
    /// Raised whenever the same input would give other bytes, so that layers of different programs do not mix.
    static let revision = "3"

    /// - Parameter progress: Called after each matrix and each step of the rest; what it throws stops the run, which
    ///   can be resumed.
    package init(
        _ options: QuantizationOptions, logger: Logger, progress: @escaping (QuantizationProgress) throws -> Void
    ) {
        self.options = options
        self.logger = logger
        self.progress = progress
        // Completion in a shell ends the names of folders with a slash.
        while self.options.outputPath.count > 1, self.options.outputPath.hasSuffix("/") {
            self.options.outputPath.removeLast()
        }
    }

    /// Does all of it.
    ///
    /// - Parameter announce: Called once before the work starts, with lines that say what will be made and what memory
    ///   it takes.
    /// - Returns: What was made. On a throw the output folder does not exist; finished layers stay in the work folder.
    /// - Throws: `PipelineError`, `ExcessiveLoss` where the result is of no use, and the errors of the rooms it uses, each one sentence.
    package func run(announce: ([String]) -> Void) throws -> QuantizationSummary {
        let clock = ContinuousClock()
        let start = clock.now
        try options.check()
        try PartialFolder.checkFree(options.outputPath)
        let parent = options.outputPath.lastIndex(of: "/").map { String(options.outputPath[...$0]) } ?? "."
        guard access(parent, W_OK | X_OK) == 0 else {
            throw PipelineError(
                "\(options.outputPath) cannot be made: \(parent): \(systemMessage()); "
                    + "choose a folder that can be written to")
        }
        let card = try openCard()
        // A GPU's products are cuBLAS's.
        let blas = card == nil ? try BLAS.load() : nil
        let pool = options.threads > 0 ? ThreadPool(threadCount: options.threads) : ThreadPool()
        let source = try ModelLoader(pool: pool, logger: logger).load(options.modelPath)
        guard source.quantization == nil else {
            throw PipelineError("\(options.modelPath) is quantized already; start from the unquantized model")
        }
        var plan = try self.plan(source.configuration)
        let given = try CalibrationText.given(options, source)
        let sizes = CalibrationText.Sizes(options, source.configuration, given: given?.count, onCard: card != nil)
        let memory = MemoryPlan(
            source.configuration, plan: plan, sourceBytes: sourceBytes(source.checkpoint), text: sizes,
            threads: source.pool.threadCount)
        announce(
            [
                "\(source.configuration.modelType), \(source.configuration.numHiddenLayers) layers, "
                    + "\(plan.linearWeights) weights in linear layers, "
                    + "\(ModelCard.rounded(plan.bitsPerWeight, 3)) bits each",
                "calibration: \(sizes.description)", "memory:",
            ] + memory.lines)
        try memory.check(limit: options.maxMemoryBytes)
        let text = try CalibrationText(options, given: given, sizes: sizes, source: source) { share in
            try progress(QuantizationProgress(stage: "writing calibration text", fraction: share * textShare))
        }

        let survey = try card.flatMap { try ask(source, text: text, card: $0) }
        if options.guidance.spreadsBudget, let survey {
            plan = try self.plan(source.configuration, channelCosts: survey.channelCosts)
        }

        let work = try WorkFolder(
            path: options.outputPath + ".partial",
            fingerprint: fingerprint(
                source, text,
                arithmetic: card?.device.info.name ?? "\(source.forward.backend.name), \(blas?.kernelName ?? "")"),
            resume: options.resume,
            layers: source.configuration.numHiddenLayers)
        let resumed = work.doneLayers
        let reports = try quantizeLayers(
            source, text: text, plan: plan, survey: options.guidance.weighsTokens ? survey : nil, work: work,
            blas: blas, card: card)
        try progress(QuantizationProgress(stage: "writing", fraction: layersShare))
        let writer = FolderWriter(options: options, source: source, plan: plan, work: work, names: names)
        var summary = QuantizationSummary(
            bitsPerWeight: plan.bitsPerWeight, linearWeights: plan.linearWeights, linearBytes: plan.linearBytes,
            totalBytes: 0, headBits: writer.headBits, embeddingBits: writer.embeddingBits, seconds: 0,
            peakMemoryBytes: 0, resumedLayers: resumed, matrices: reports)
        try writer.writeTensors(&summary)
        if options.measures, !text.heldOut.isEmpty {
            let loss = try measure(source, folder: writer.folder.path, text: text, onCard: card != nil)
            // The layers stay in the work folder: with other limits the same run ends in a moment.
            if !options.keepsAnything { try ExcessiveLoss.check(loss, limit: options.maxDivergence) }
            summary.measured = loss
        }
        summary.seconds = start.duration(to: clock.now).seconds
        summary.peakMemoryBytes = Self.peakMemory
        try writer.finish(summary, calibration: sizes.description, tokens: text.sequences.reduce(0) { $0 + $1.count })
        work.remove(layers: source.configuration.numHiddenLayers)
        try progress(QuantizationProgress(stage: "done", fraction: 1))
        return summary
    }

    private func plan(
        _ configuration: ModelConfiguration, channelCosts: [[Projection: [Float]]]? = nil
    ) throws -> BudgetPlan {
        try BudgetPlan(
            configuration, bits: options.bits, fourBitShare: options.fourBitShare,
            outliersPerTile: options.outliersPerTile, channelCosts: channelCosts, storage: options.storage)
    }

    /// What errors cost in the end, where a GPU can tell and something goes by it.
    private func ask(_ source: LoadedModel, text: CalibrationText, card: Card) throws -> LossSurvey? {
        let spreads = options.guidance.spreadsBudget && options.fourBitShare == nil
        guard spreads || options.guidance.weighsTokens, let blas = card.blas else { return nil }
        return try LossSurvey(
            source.forward.weights, source.configuration, sequences: text.sequences, library: card.library, blas: blas,
            pool: source.pool
        ) { share in
            try progress(
                QuantizationProgress(stage: "asking what errors cost", fraction: textShare + share * surveyShare))
        }
    }

    /// How much of the whole is thought to be done when the text is there, and when the layers are, for the progress bar.
    private var textShare: Double { options.calibration == .ownText ? 0.4 : 0 }
    private let surveyShare = 0.05
    let layersShare = 0.92

    private func quantizeLayers(
        _ source: LoadedModel, text: CalibrationText, plan: BudgetPlan, survey: LossSurvey?, work: WorkFolder,
        blas: BLAS?, card: Card?
    ) throws -> [MatrixReport] {
        let settings = QuantizerSettings(
            method: options.method, preference: options.preference, storage: options.storage)
        let originals = source.forward.weights.layers
        // The measurement afterwards needs the source as it was.
        defer { source.forward.weights.layers = originals }
        let run: any LayerCalibration =
            if let card {
                try CardCalibrationRun(
                    source, sequences: text.sequences, plan: plan, settings: settings, survey: survey, card: card)
            } else {
                try CalibrationRun(
                    source.forward, sequences: text.sequences, plan: plan,
                    quantizer: MatrixQuantizer(settings: settings, blas: blas ?? BLAS.load(), pool: source.pool))
            }
        let layers = source.configuration.numHiddenLayers
        let total = Double(layers * Projection.allCases.count)
        var reports: [MatrixReport] = []
        for layer in 0..<layers {
            if layer < work.doneLayers {
                try run.pass(layer, weights: work.load(layer, shapes: plan.shapes[layer], names: names))
                try report(Double((layer + 1) * Projection.allCases.count) / total, layer, of: layers)
            } else {
                try source.checkpoint.checkUnchanged()
                var done = 0
                let matrices = try run.quantizeLayer(layer) { _ in
                    done += 1
                    try report((Double(layer * Projection.allCases.count + done)) / total, layer, of: layers)
                }
                try work.store(layer, matrices, names: names)
            }
            // Its inputs are behind us: the packed layer need not stay in memory.
            source.forward.weights.layers[layer] = originals[layer]
            let errors = try work.errors(layer)
            for projection in Projection.allCases {
                guard let shape = plan.shapes[layer][projection], let error = errors[projection] else { continue }
                reports.append(
                    MatrixReport(
                        name: names.weight(layer, projection), layer: layer, kind: projection.rawValue,
                        bits: Double(options.storage.byteCount(shape) * 8) / Double(shape.n * shape.k),
                        fourBitShare: Double(shape.fourBitChannels) / Double(shape.segmentChannels),
                        relativeOutputError: error.output, relativeWeightError: error.weight))
            }
        }
        return reports
    }

    /// The GPU that the layers are quantized on; nil for the CPU.
    private func openCard() throws -> Card? {
        try options.device.onCard("the CPU quantizes in place of a GPU", logger: logger) { index in
            let card = try Card(index, logger: logger)
            if options.device == .automatic, card.blas == nil || !CardCalibration.runs(on: card.library) {
                logger.warning("the CPU quantizes: the GPU is too old, or cuBLAS is missing")
                return nil
            }
            logger.info("quantizing on a GPU", metadata: ["device": "\(card.device.label)"])
            return card
        }
    }

    private func report(_ share: Double, _ layer: Int, of layers: Int) throws {
        try progress(
            QuantizationProgress(
                stage: "layer \(layer + 1) of \(layers)",
                fraction: textShare + surveyShare + share * (layersShare - textShare - surveyShare)))
    }
}
