import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbPipeline
import CrumbTestSupport
import Logging
import Testing

@Suite struct ExperimentTests {
    private let folder: TemporaryFolder
    private let options: QuantizationOptions

    init() throws {
        folder = try TemporaryFolder()
        try TinyModel().write(to: folder.path + "/model")
        var options = QuantizationOptions(modelPath: folder.path + "/model", outputPath: folder.path + "/work")
        options.bits = 4
        options.calibration = .ownText
        options.calibrationTokens = 512
        options.device = .cpu
        options.threads = 2
        self.options = options
    }

    private func run(_ experiment: Experiment) throws -> [Experiment.Row] {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let text = String(repeating: "Some words to measure on. ", count: 30)
        return try experiment.run(
            options, text: text, portion: .all, context: 64, windows: 2, logger: logger, progress: { _ in })
    }

    @Test("a variant has a row of its own, and leaves nothing behind", arguments: [Experiment.channels, .outliers])
    func rows(_ experiment: Experiment) throws {
        let rows = try run(experiment)
        #expect(rows.map(\.name) == experiment.variants.map(\.name))
        #expect(rows.allSatisfy { $0.bitsPerWeight <= 4 && $0.meanKL > 0 && $0.ratio.isFinite })
        #expect(try FileSystem.names(in: folder.path) == ["model"])
    }

    @Test("more 4-bit channels take more bits and lose less")
    func share() throws {
        let rows = try run(.share)
        #expect(rows.count == 11)
        #expect(zip(rows, rows.dropFirst()).allSatisfy { $0.bitsPerWeight <= $1.bitsPerWeight })
        #expect(rows[10].meanKL < 0.5 * rows[0].meanKL)
    }

    @Test("names of the methods tell their bits")
    func methods() {
        #expect(
            Experiment.methods.variants.map(\.name) == [
                "rtn, 2 bits", "gptq, 2 bits", "full, 2 bits", "rtn, 3 bits", "gptq, 3 bits", "full, 3 bits",
                "rtn, 4 bits",
                "gptq, 4 bits", "full, 4 bits",
            ])
    }
}
