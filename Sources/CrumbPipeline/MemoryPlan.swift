import CrumbABI
import CrumbModel
import CrumbPacked
import CrumbQuant

/// What a run will hold in memory at its fullest, by part, known before it starts.
///
/// The law: the source's file as far as it is touched, the residual stream and the attention outputs of all calibration
/// tokens, and the largest single input's statistics; never the quantized model.
package struct MemoryPlan: Sendable {
    /// A part's name and bytes.
    package let parts: [(name: String, bytes: Int)]
    package var total: Int { parts.reduce(0) { $0 + $1.bytes } }

    /// - Parameters:
    ///   - sourceBytes: Bytes of the source's tensors.
    ///   - text: Sizes of the calibration text.
    init(
        _ configuration: ModelConfiguration, plan: BudgetPlan, sourceBytes: Int, text: CalibrationText.Sizes,
        threads: Int
    ) {
        let tokens = text.pieces * text.context
        let block = min(tokens, CalibrationRun.block)
        let float = MemoryLayout<Float>.size
        let shapes = plan.shapes.flatMap(\.values)
        let widest = shapes.map(\.orderCount).max() ?? 0
        let activations = tokens * (configuration.hiddenSize + configuration.queryFeatures) * float
        let statistics = InputStatistics.byteCount(channels: widest) + ErrorFactor.byteCount(positions: widest)
        // The matrices that share an input are in work together: their fp32 weights and their codes.
        let work =
            plan.shapes.flatMap { layer in
                InputRole.allCases.map { role in
                    let shapes = role.projections.compactMap { layer[$0] }
                    return MatrixQuantizer.workingBytes(shapes: shapes, threads: threads)
                }
            }.max() ?? 0
        let layer = (plan.shapes.first ?? [:]).values.reduce(0) { $0 + $1.byteCount }
        let widestProjection = max(
            2 * configuration.intermediateSize, configuration.queryFeatures + 2 * configuration.keyValueFeatures)
        // Inputs, gate and up, their product, the backend's copies of an input in a matrix's order, the statistics'.
        let scratch =
            block * (3 * configuration.hiddenSize + widestProjection + 4 * configuration.intermediateSize) * float
        let cache = text.window * 2 * configuration.keyValueFeatures * 2 * configuration.numHiddenLayers
        // The head is measured on blocks of a few hundred tokens.
        let logits = 512 * configuration.vocabSize * float
        // Text of the model's own: all pieces grow side by side, each with its keys and values.
        let written = text.written > 0 ? text.pieces + text.written : 0
        let writing = written * (cache + configuration.vocabSize * float)
        parts = [
            ("source weights", sourceBytes),
            ("calibration activations", activations),
            ("statistics of one input", statistics),
            ("matrices in work", work),
            ("one packed layer", 2 * layer),
            ("forward pass", scratch + cache + logits),
            ("writing the text", writing),
            ("program and tokenizer", 256 << 20),
        ].filter { $0.bytes > 0 }
    }

    /// The plan as lines for people.
    package var lines: [String] {
        let width = parts.map(\.name.count).max() ?? 0
        return (parts + [("at most", total)]).map { name, bytes in
            "  " + name + String(repeating: " ", count: width - name.count + 2) + Self.text(bytes)
        }
    }

    /// Bytes in MiB or GiB.
    package static func text(_ bytes: Int) -> String {
        let mebibytes = Double(bytes) / 1_048_576
        guard mebibytes >= 1024 else { return "\(Int(mebibytes.rounded(.up))) MiB" }
        return "\((mebibytes / 1024 * 100).rounded() / 100) GiB"
    }

    /// - Throws: `PipelineError` when the plan does not fit `limit`.
    package func check(limit: Int?) throws {
        guard let limit, total > limit else { return }
        throw PipelineError(
            "quantizing this model takes up to \(Self.text(total)) of memory, over the \(Self.text(limit)) allowed; "
                + "raise --max-memory or lower --calibration-tokens")
    }
}
