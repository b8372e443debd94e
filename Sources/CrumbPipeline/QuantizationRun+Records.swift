import CrumbABI
import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbQuant
import CrumbTensor
import CrumbThreads
import Glibc

/// What a run writes down about its source and its result.
extension QuantizationRun {
    /// Everything that the bytes of the result depend on.
    func fingerprint(
        _ source: LoadedModel, _ text: CalibrationText, arithmetic: String
    ) throws -> JSONObject {
        var object = JSONObject()
        object["format_version"] = JSONValue(Int(CRUMB_FORMAT_VERSION))
        object["program"] = .string(Self.revision)
        object["arithmetic"] = .string(arithmetic)
        object["source_tensors"] = .string(try SourceDigest.model(options.modelPath))
        object["bits"] = JSONValue(options.bits)
        object["four_bit_share"] = options.fourBitShare.map { JSONValue($0) } ?? .null
        object["outliers_per_tile"] = JSONValue(options.outliersPerTile)
        object["method"] = .string(options.method.rawValue)
        object["guidance"] = .string(options.guidance.rawValue)
        object["channels"] = .string(options.preference.rawValue)
        object["text"] = .string(text.digest)
        return object
    }

    func sourceBytes(_ checkpoint: any Checkpoint) -> Int {
        checkpoint.tensorNames.reduce(0) { $0 + ((try? checkpoint.tensorLayout($1).byteCount) ?? 0) }
    }

    /// Perplexity of source and result, and their divergence, on the held-out text.
    func measure(
        _ source: LoadedModel, folder: String, text: CalibrationText, onCard: Bool
    ) throws -> MeasuredLoss {
        let loader = ModelLoader(device: onCard ? options.device : .cpu, pool: source.pool, logger: logger)
        let original = onCard ? try loader.load(options.modelPath) : source
        let quantized = try loader.load(folder)
        let windows = try EvaluationWindows(
            tokens: text.heldOut, beginning: text.beginning, context: text.heldOutContext)
        let result = try Divergence.measure(
            source: original.decoder, quantized: quantized.decoder, windows: windows, pool: source.pool
        ) { step in
            try source.checkpoint.checkUnchanged()
            let share = Double(step.block) / Double(max(step.totalBlocks, 1))
            try progress(QuantizationProgress(stage: "measuring", fraction: layersShare + share * (1 - layersShare)))
        }
        return MeasuredLoss(result, text: "\(options.calibration)")
    }

    /// The process's largest resident set so far, in bytes.
    static var peakMemory: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }
}
