import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbPipeline
import CrumbTensor
import CrumbTestSupport
import CrumbThreads
import CrumbTune
import Logging
import Testing

/// What happens around tuning; the steps themselves need a GPU (`crumb doctor` tests them there).
@Suite struct TuningTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private var logger: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    /// A small model, quantized.
    private func quantized() throws -> (source: String, path: String) {
        let (source, path) = (folder.path + "/model", folder.path + "/quantized")
        try TinyModel().write(to: source)
        var options = QuantizationOptions(modelPath: source, outputPath: path)
        options.bits = 4
        options.calibration = .ownText
        options.calibrationTokens = 1024
        options.device = .cpu
        options.threads = 2
        options.measures = false
        _ = try QuantizationRun(options, logger: logger) { _ in }.run { _ in }
        return (source, path)
    }

    private func load(_ path: String) throws -> LoadedModel {
        try ModelLoader(pool: ThreadPool(threadCount: 2), logger: logger).load(path)
    }

    @Test("a tuned folder has the new numbers in the old places, and passes its own digests")
    func folders() throws {
        let (source, path) = try quantized()
        let model = try load(path)
        let old = model.forward.weights
        // Layers change places, norms double: as if they had been moved far.
        let layers = old.layers.reversed().map { layer in
            TunedWeights.Layer(
                inputNorm: layer.inputNorm.map { 2 * $0 }, postAttentionNorm: layer.postAttentionNorm, biases: [:],
                matrices: Dictionary(
                    uniqueKeysWithValues: Projection.allCases.compactMap { projection in
                        guard case .packed(let matrix) = layer[projection].storage else { return nil }
                        return (projection, matrix)
                    }))
        }
        let options = TuningOptions(modelPath: path, sourcePath: source, outputPath: folder.path + "/tuned")
        let tuned = TunedFolder(
            options: options, quantized: model,
            weights: TunedWeights(layers: layers, finalNorm: old.finalNorm.map { -$0 }))
        try tuned.write()
        #expect(!FileSystem.exists(options.outputPath))
        var summary = TuningSummary(steps: 7, texts: 3, context: 64, divergences: [0.5, 0.25], seconds: 1)
        summary.measured = MeasuredLoss(
            text: "a text", tokens: 90, sourcePerplexity: 4, perplexity: 5, standardError: 0.1, meanKL: 0.125,
            topOneAgreement: 0.75)
        try tuned.finish(summary)
        #expect(!FileSystem.exists(tuned.path))
        try FolderDigests(folder: options.outputPath).check(folder: options.outputPath)

        let read = try load(options.outputPath)
        let new = read.forward.weights
        #expect(new.finalNorm == old.finalNorm.map { -$0 })
        #expect(new.layers[0].inputNorm == old.layers[1].inputNorm.map { 2 * $0 })
        #expect(read.quantization?.measured?["mean_kl"]?.double == 0.125)
        #expect(read.quantization?.calibration?["tuning"]?["steps"]?.int == 7)
        guard case .packed(let before) = old.layers[1].down[0].storage,
            case .packed(let after) = new.layers[0].down[0].storage
        else { return #expect(Bool(false), "a matrix is not packed any more") }
        #expect(before.records.bytes.elementsEqual(after.records.bytes))
        let card = String(decoding: try #require(try read.checkpoint.sideFile("README.md")), as: UTF8.self)
        #expect(card.contains("7 steps on 3 texts of 64 tokens") && card.contains("ratio 1.25"))
    }

    @Test("models in the wrong roles and folders that exist are refused before any work")
    func roles() throws {
        let (source, path) = try quantized()
        func refusal(_ model: String, _ source: String, _ output: String) throws -> String {
            let options = TuningOptions(modelPath: model, sourcePath: source, outputPath: folder.path + "/" + output)
            let error = #expect(throws: PipelineError.self) {
                try TuningRun(options, logger: logger) { _ in }.run()
            }
            return error?.description ?? ""
        }
        #expect(try refusal(source, source, "a").contains("is not quantized"))
        #expect(try refusal(path, path, "b").contains("give the model that it was made from"))
        #expect(try refusal(path, source, "model").contains("exists already"))
    }

    @Test("text that the source wrote is kept, and only for that source, those texts and that seed")
    func ownText() throws {
        let source = folder.path + "/model"
        try TinyModel().write(to: source)
        var options = TuningOptions(modelPath: "quantized", sourcePath: source, outputPath: "tuned")
        options.context = 64
        let path = folder.path + "/own.bin"
        let given: [[Int32]] = [[1, 2, 3]]
        let texts = (0..<3).map { text in (0..<64).map { Int32(1000 * text + $0 * 70_000) } }
        let file = try OwnTextFile(path, options, given: given)
        #expect(try file.read(3) == nil)
        try file.write(texts)
        #expect(try file.read(3) == texts)
        #expect(try file.read(2) == Array(texts[0..<2]))
        let short = #expect(throws: PipelineError.self) { try file.read(4) }
        #expect(short?.description.contains("has 3 texts of 64 tokens, and 4 are asked for") == true)
        options.tuning.seed = 1
        let other = #expect(throws: PipelineError.self) { try OwnTextFile(path, options, given: given).read(3) }
        #expect(other?.description.contains("is not the text that this source writes") == true)
        options.tuning.seed = 0
        #expect(throws: PipelineError.self) { try OwnTextFile(path, options, given: [[1, 2]]).read(3) }
    }

    @Test(
        "numbers out of range are refused with the option's name",
        arguments: ["--context", "--own-tokens", "--steps", "--texts-per-step", "--code-rate", "--norm-rate", "-o"])
    func ranges(_ name: String) throws {
        var options = TuningOptions(modelPath: "a", sourcePath: "b", outputPath: "c")
        try options.check()
        switch name {
        case "--context": options.context = 100
        case "--own-tokens": options.ownTokens = -1
        case "--steps": options.tuning.steps = 0
        case "--texts-per-step": options.tuning.texts = 0
        case "--code-rate": options.tuning.rates.codes = .nan
        case "--norm-rate": options.tuning.rates.vectors = -1
        default: options.outputPath = ""
        }
        let error = #expect(throws: PipelineError.self) { try options.check() }
        #expect(error?.description.contains(name) == true)
    }
}
