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
        var model = TinyModel()
        // Rows of several groups.
        model.hidden = 128
        model.intermediate = 256
        try model.write(to: folder.path + "/model")
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

    @Test(
        "a variant has a row of its own, and leaves nothing behind",
        arguments: [Experiment.channels, .outliers, .alignment])
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

    @Test("a scale of its own for each group takes 12 bits more of 32 weights, less its row's")
    func scales() throws {
        let rows = try run(.scales)
        #expect(rows.map(\.name).suffix(2) == ["second order, 30 % 4-bit", "first order, 30 % 4-bit"])
        #expect(rows[1].bitsPerWeight <= 4)
        let more = rows[3].bitsPerWeight - rows[2].bitsPerWeight
        // Rows of small matrices are short, and have a scale for each segment.
        #expect(more > 0 && more < 0.375)
    }

    @Test("methods are compared at plain bits, and each step of them loses less")
    func methods() throws {
        let rows = try run(.methods)
        #expect(
            rows.map(\.name) == [
                "rtn, 2 bits", "gptq, 2 bits", "full, 2 bits", "rtn, 3 bits", "gptq, 3 bits", "full, 3 bits",
                "rtn, 4 bits", "gptq, 4 bits", "full, 4 bits", "as quantize does",
            ])
        for (row, bits) in zip(rows, [2, 2, 2, 3, 3, 3, 4, 4, 4]) {
            // The rest are scales and orders, which weigh much in small matrices.
            #expect((Double(bits) + 0.125...Double(bits) + 0.6).contains(row.bitsPerWeight))
        }
        for method in 0..<3 {
            #expect(rows[method].meanKL > rows[method + 3].meanKL)
            #expect(rows[method + 3].meanKL > rows[method + 6].meanKL)
        }
    }
}
