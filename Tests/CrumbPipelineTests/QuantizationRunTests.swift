import CrumbEngine
import CrumbFormats
import CrumbPipeline
import CrumbTestSupport
import CrumbThreads
import Glibc
import Logging
import Testing

@Suite struct QuantizationRunTests {
    private let folder: TemporaryFolder
    private let model: String

    init() throws {
        folder = try TemporaryFolder()
        model = folder.path + "/model"
        try TinyModel().write(to: model)
    }

    private var logger: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    private func options(_ output: String) -> QuantizationOptions {
        var options = QuantizationOptions(modelPath: model, outputPath: folder.path + "/" + output)
        // Padding of such small matrices alone takes more than the default.
        options.bits = 4
        options.calibration = .ownText
        options.calibrationTokens = 1024
        options.device = .cpu
        options.threads = 2
        options.measures = false
        return options
    }

    private struct Stop: Error {}

    private func run(_ options: QuantizationOptions) throws -> QuantizationSummary {
        try QuantizationRun(options, logger: logger) { _ in }.run { _ in }
    }

    private func digests(_ output: String) throws -> [String] {
        try FolderDigests(folder: folder.path + "/" + output).files.map { "\($0.name) \($0.digest)" }
            // The card has the folder's name for a title.
            .filter { !$0.hasPrefix("README") }
    }

    @Test("a model becomes a folder that loads, keeps its budget and passes its own digests")
    func wholeRun() throws {
        var options = options("out")
        options.measures = true
        let summary = try run(options)
        #expect(summary.bitsPerWeight <= 4)
        #expect(summary.matrices.count == 14)
        #expect(summary.measured.map { $0.tokens > 500 && $0.perplexity.isFinite && $0.meanKL > 0 } == true)
        let loaded = try ModelLoader(pool: ThreadPool(threadCount: 2), logger: logger).load(options.outputPath)
        #expect(loaded.quantization?.matrices.count == 14)
        #expect(!FileSystem.exists(options.outputPath + ".partial"))
        try FolderDigests(folder: options.outputPath).check(folder: options.outputPath)
    }

    @Test("the bytes do not depend on the number of threads, but on the seed")
    func determinism() throws {
        var one = options("one")
        one.threads = 1
        _ = try run(one)
        var three = options("three")
        three.threads = 3
        _ = try run(three)
        #expect(try digests("one") == digests("three"))
        var other = options("other")
        other.seed = 5
        _ = try run(other)
        #expect(try digests("one") != digests("other"))
    }

    @Test("work of other options is not gone on with")
    func otherOptions() throws {
        var first = options("mixed")
        #expect(throws: Stop.self) {
            _ = try QuantizationRun(first, logger: logger) { step in
                if step.fraction > 0.6 { throw Stop() }
            }.run { _ in }
        }
        first.bits = 3.9
        let error = #expect(throws: PipelineError.self) { try run(first) }
        #expect(error?.description.contains("--no-resume") == true)
        first.resume = false
        #expect(try run(first).resumedLayers == 0)
    }

    @Test("a slash at the end of the output folder does not matter, a missing parent is named")
    func outputNames() throws {
        var slash = options("slash")
        slash.outputPath += "/"
        _ = try run(slash)
        #expect(FileSystem.exists(folder.path + "/slash/config.json"))
        let error = #expect(throws: PipelineError.self) { try run(options("no/such/place")) }
        #expect(error?.description.contains("no/such") == true)
    }

    @Test("a result that lost too much is not kept, unless it is asked for; its layers are not made again")
    func excessiveLoss() throws {
        var options = options("lossy")
        options.measures = true
        options.maxDivergence = 1e-9
        let error = #expect(throws: ExcessiveLoss.self) { try run(options) }
        #expect(error.map { $0.measured.meanKL > 1e-9 && "\($0)".contains("--force") } == true)
        #expect(!FileSystem.exists(options.outputPath))
        options.keepsAnything = true
        #expect(try run(options).resumedLayers == 2)
        #expect(FileSystem.exists(options.outputPath))
    }

    /// Bits asked for head and embedding, and bits that both get where they are tied and where not.
    @Test(
        "head and embedding get the bits asked for",
        arguments: [(nil, nil, 8, 8, 8), (4, nil, 4, 4, 8), (nil, 4, 4, 8, 4), (16, 4, 16, 16, 4)])
    func outerBits(_ head: Int?, _ embedding: Int?, _ tied: Int, _ apartHead: Int, _ apartEmbedding: Int) throws {
        var options = options("tied")
        (options.headBits, options.embeddingBits) = (head, embedding)
        let summary = try run(options)
        #expect([summary.headBits, summary.embeddingBits] == [tied, tied])
        var model = TinyModel()
        model.tied = false
        try model.write(to: folder.path + "/apart")
        options.modelPath = folder.path + "/apart"
        options.outputPath = folder.path + "/apart-out"
        let apart = try run(options)
        #expect([apart.headBits, apart.embeddingBits] == [apartHead, apartEmbedding])
        _ = try ModelLoader(pool: ThreadPool(threadCount: 2), logger: logger).load(options.outputPath)
    }

    @Test("the memory plan is kept on text of the model's own")
    func memoryPlan() throws {
        var lines: [String] = []
        var options = options("plan")
        options.maxMemoryBytes = 1 << 30
        let summary = try QuantizationRun(options, logger: logger) { _ in }.run { lines = $0 }
        #expect(lines.contains { $0.contains("writing the text") })
        #expect(summary.peakMemoryBytes < 1 << 30)
    }

    @Test("an output folder that exists is left alone")
    func existingOutput() throws {
        let options = options("there")
        mkdir(options.outputPath, 0o755)
        let error = #expect(throws: PipelineError.self) { try run(options) }
        #expect(error?.description.contains("exists already") == true)
    }

    @Test("a limit on memory that cannot be kept stops the run before it starts")
    func memoryLimit() throws {
        var options = options("small")
        options.maxMemoryBytes = 1 << 20
        let error = #expect(throws: PipelineError.self) { try run(options) }
        #expect(error?.description.contains("--max-memory") == true)
        #expect(!FileSystem.exists(options.outputPath + ".partial"))
    }

    @Test("a calibration text that is too short is refused with both numbers")
    func shortText() throws {
        var options = options("short")
        options.calibration = .file(folder.path + "/text")
        try AtomicFile.write("too short", to: folder.path + "/text")
        let error = #expect(throws: PipelineError.self) { try run(options) }
        #expect(error?.description.contains("1024") == true)
    }

    @Test("a weight that is not a number is refused")
    func brokenWeights() throws {
        var broken = TinyModel()
        broken.broken = true
        try broken.write(to: folder.path + "/broken")
        var options = options("never")
        options.modelPath = folder.path + "/broken"
        #expect(throws: (any Error).self) { try run(options) }
        #expect(!FileSystem.exists(options.outputPath))
    }

    @Test("a run stopped in any layer goes on and gives the same bytes")
    func resume() throws {
        _ = try run(options("whole"))
        let stopped = options("stopped")
        // In the text, in the first and second layer, while writing.
        for fraction in [0.1, 0.5, 0.8, 0.91] {
            // What the progress callback throws leaves the run as a kill would: nothing is tidied up on the way out.
            #expect(throws: Stop.self) {
                _ = try QuantizationRun(stopped, logger: logger) { step in
                    if step.fraction > fraction { throw Stop() }
                }.run { _ in }
            }
            #expect(!FileSystem.exists(stopped.outputPath))
        }
        // A file that does not belong there must not get a digest.
        mkdir(stopped.outputPath + ".partial/folder", 0o755)
        try AtomicFile.write("stale", to: stopped.outputPath + ".partial/folder/model-00001-of-00002.safetensors")
        let summary = try run(stopped)
        #expect(summary.resumedLayers > 0)
        #expect(try digests("whole") == digests("stopped"))
    }
}
