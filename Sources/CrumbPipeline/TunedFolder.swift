import CrumbDigest
package import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbTensor
package import CrumbTune
import Glibc

/// A quantized folder again, with the tuned numbers in place of its own; put together beside its final place.
package struct TunedFolder {
    package let path: String
    private let options: TuningOptions
    private let quantized: LoadedModel
    private let weights: TunedWeights
    private let names = TensorNames()

    /// Bytes of a shard at most, as in most published models.
    private static let shardBytes = 4 << 30

    package init(options: TuningOptions, quantized: LoadedModel, weights: TunedWeights) {
        self.options = options
        self.quantized = quantized
        self.weights = weights
        path = options.outputPath + ".partial"
    }

    /// Writes everything that is needed to load the model.
    package func write() throws {
        guard mkdir(path, 0o755) == 0 else {
            throw PipelineError("\(path): the folder cannot be made: \(systemMessage())")
        }
        do {
            let checkpoint = quantized.checkpoint
            let tensors = try checkpoint.tensorNames.map { try replacement($0) ?? checkpoint.tensor($0) }
            let writer = ShardedWriter(folder: path, tensors: tensors.map(\.layout), maxShardBytes: Self.shardBytes)
            for tensor in tensors { try writer.append(tensor) }
            try writer.finish()
            try TokenizerFolder.write(quantized, to: path)
            try writeConfiguration(nil)
        } catch {
            remove()
            throw error
        }
    }

    /// Writes what tells about the model and the digests, and moves the folder to its place.
    package func finish(_ summary: TuningSummary) throws {
        try writeConfiguration(summary)
        if let card = try quantized.checkpoint.sideFile("README.md") {
            let text = String(decoding: card, as: UTF8.self) + ModelCard.tuning(summary)
            try AtomicFile.write(text, to: FileSystem.join(path, "README.md"))
        }
        try FolderDigests.write(for: path)
        guard rename(path, options.outputPath) == 0 else {
            throw PipelineError(
                "\(options.outputPath): the finished folder cannot be moved there from \(path): \(systemMessage())")
        }
    }

    /// Removes what was written so far.
    package func remove() {
        for name in (try? FileSystem.names(in: path)) ?? [] { unlink(FileSystem.join(path, name)) }
        rmdir(path)
    }

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
        let buffer = HeapBuffer(byteCount: numbers.count * 4)
        numbers.withUnsafeBytes { buffer.mutableBytes.copyMemory(from: $0) }
        return buffer.tensor(name, .f32, [numbers.count])
    }

    private func writeConfiguration(_ summary: TuningSummary?) throws {
        guard let quantization = quantized.quantization else { return }
        var measured = quantization.measured?.object ?? JSONObject()
        if let loss = summary?.measured {
            measured["text"] = .string(loss.text)
            measured["tokens"] = JSONValue(loss.tokens)
            measured["source_perplexity"] = JSONValue(loss.sourcePerplexity)
            measured["perplexity"] = JSONValue(loss.perplexity)
            measured["mean_kl"] = JSONValue(loss.meanKL)
            measured["top_one_agreement"] = JSONValue(loss.topOneAgreement)
        }
        var calibration = quantization.calibration?.object ?? JSONObject()
        if let summary {
            calibration["tuning"] = .object([
                "steps": JSONValue(summary.steps), "texts": JSONValue(summary.texts),
                "context": JSONValue(summary.context), "own_tokens": JSONValue(options.ownTokens),
                "seed": .string(String(options.tuning.seed)),
            ])
        }
        var configuration = quantized.checkpoint.configuration
        configuration["quantization_config"] = .object(
            QuantizationConfiguration(
                matrices: quantization.matrices, grouped: quantization.grouped, calibration: .object(calibration),
                measured: .object(measured)
            ).json)
        try AtomicFile.write(
            JSON.serialize(.object(configuration), pretty: true) + "\n", to: FileSystem.join(path, "config.json"))
    }
}
