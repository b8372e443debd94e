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
        options.calibrationTokens = 1024
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
            // The card and the settings tell how long things took and where from.
            .filter { !$0.hasPrefix("README") && !$0.hasPrefix("config") }
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
        options.calibrationPath = folder.path + "/text"
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
        for fraction in [0.3, 0.6] {
            // What the progress callback throws leaves the run as a kill would: nothing is tidied up on the way out.
            #expect(throws: Stop.self) {
                _ = try QuantizationRun(stopped, logger: logger) { step in
                    if step.fraction > fraction { throw Stop() }
                }.run { _ in }
            }
            #expect(!FileSystem.exists(stopped.outputPath))
        }
        let summary = try run(stopped)
        #expect(summary.resumedLayers > 0)
        #expect(try digests("whole") == digests("stopped"))
    }
}
