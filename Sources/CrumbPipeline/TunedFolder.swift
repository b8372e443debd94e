package import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbTensor
package import CrumbTune

/// A quantized folder again, with the tuned numbers in place of its own; put together beside its final place.
package struct TunedFolder {
    private let options: TuningOptions
    private let quantized: LoadedModel
    private let weights: TunedWeights
    private let folder: PartialFolder
    private let names = TensorNames()

    /// Where it is put together.
    package var path: String { folder.path }

    package init(options: TuningOptions, quantized: LoadedModel, weights: TunedWeights) {
        self.options = options
        self.quantized = quantized
        self.weights = weights
        folder = PartialFolder(path: options.outputPath + ".partial")
    }

    /// Writes everything that is needed to load the model.
    package func write() throws {
        try folder.make()
        do {
            let checkpoint = quantized.checkpoint
            let tensors = try checkpoint.tensorNames.map { try replacement($0) ?? checkpoint.tensor($0) }
            try folder.write(tensors, tokenizerOf: quantized)
            try writeConfiguration(nil)
        } catch {
            remove()
            throw error
        }
    }

    /// Writes what tells about the model and the digests, and moves the folder to its place.
    package func finish(_ summary: TuningSummary) throws {
        try writeConfiguration(summary)
        let card = try quantized.checkpoint.sideFile("README.md").map {
            String(decoding: $0, as: UTF8.self) + ModelCard.tuning(summary)
        }
        try folder.finish(readMe: card, to: options.outputPath)
    }

    /// Removes what was written so far.
    package func remove() { folder.remove() }

    private func replacement(_ name: String) throws -> TensorView? {
        for (index, layer) in weights.layers.enumerated() {
            let prefix = "model.layers.\(index)."
            guard name.hasPrefix(prefix) else { continue }
            if name == prefix + "input_layernorm.weight" { return floats(layer.inputNorm, name) }
            if name == prefix + "post_attention_layernorm.weight" { return floats(layer.postAttentionNorm, name) }
            for projection in Projection.allCases {
                if name == names.weight(index, projection) {
                    return layer.matrices[projection].map { matrix in
                        let view = matrix.records
                        return TensorView(
                            name: name, type: view.type, shape: view.shape, bytes: view.bytes, owner: view.owner)
                    }
                }
                if name == prefix + projection.name + ".bias" {
                    return layer.biases[projection].map { floats($0, name) }
                }
            }
        }
        return name == "model.norm.weight" ? floats(weights.finalNorm, name) : nil
    }

    private func floats(_ numbers: [Float], _ name: String) -> TensorView {
        HeapBuffer(numbers).tensor(name, .f32, [numbers.count])
    }

    private func writeConfiguration(_ summary: TuningSummary?) throws {
        guard let quantization = quantized.quantization else { return }
        var measured = quantization.measured?.object ?? JSONObject()
        summary?.measured?.write(into: &measured)
        var calibration = quantization.calibration?.object ?? JSONObject()
        if let summary {
            calibration["tuning"] = .object([
                "steps": JSONValue(summary.steps), "texts": JSONValue(summary.texts),
                "context": JSONValue(summary.context), "own_tokens": JSONValue(options.ownTokens),
                "seed": .string(String(options.tuning.seed)),
            ])
        }
        try folder.writeConfiguration(
            of: quantized,
            QuantizationConfiguration(
                matrices: quantization.matrices, grouped: quantization.grouped, calibration: .object(calibration),
                measured: .object(measured)))
    }
}
