import CrumbABI
import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbTensor

/// What a model is made of, from its headers alone.
struct Inspection {
    /// A tensor as a user thinks of it: packed codes appear as the matrix that they stand for.
    struct Tensor {
        var name: String
        /// A storage type, or "crumb-2/4/16", "crumb-8" or "crumb-4".
        var type: String
        /// Outermost axis first; a weight matrix is (N, K).
        var shape: [Int]
        var bytes: Int
        /// Whether it is one of the matrices that the budget of bits counts.
        var isLinear: Bool

        var count: Int { shape.reduce(1, *) }
        var bitsPerWeight: Double { Double(bytes) * 8 / Double(max(count, 1)) }
    }

    let checkpoint: any Checkpoint
    let configuration: ModelConfiguration
    /// nil for an unquantized model.
    let quantization: QuantizationConfiguration?
    let tensors: [Tensor]

    /// Opens a model without touching its weights.
    ///
    /// - Throws: one sentence about what is damaged or unknown.
    init(_ path: String) throws {
        checkpoint = try CheckpointReader.open(path)
        configuration = try ModelConfiguration(checkpoint.configuration, source: path)
        quantization = try QuantizationConfiguration.read(checkpoint.configuration, source: path)
        let linear = Set(
            (0..<configuration.numHiddenLayers).flatMap { layer in
                Projection.allCases.map { "model.layers.\(layer).\($0.name).weight" }
            })
        tensors = try checkpoint.tensorNames.map { [checkpoint, quantization] name in
            let layout = try checkpoint.tensorLayout(name)
            var tensor = Tensor(
                name: name, type: layout.type.rawValue, shape: layout.shape, bytes: layout.byteCount,
                isLinear: linear.contains(name))
            if let matrix = quantization?.matrices[name] {
                tensor.type = "crumb-2/4/16"
                tensor.shape = [matrix.shape.n, matrix.shape.k]
            } else if let grouped = quantization?.grouped[name], layout.shape.count == 2 {
                tensor.type = "crumb-\(grouped.bits)"
                tensor.shape = [layout.shape[0], layout.shape[1] * (grouped.bits == 4 ? 2 : 1)]
            }
            return tensor
        }
    }

    /// "Crumb", "GGUF" or "Hugging Face".
    var formatName: String { checkpoint.formatName(quantizedAs: quantization) }

    /// Weights of the linear layers.
    var linearWeights: Int { tensors.filter(\.isLinear).reduce(0) { $0 + $1.count } }

    /// Bytes of the linear layers, their orders of channels included.
    var linearBytes: Int {
        let orders = Set((quantization?.matrices.values).map { $0.map(\.order) } ?? [])
        return tensors.filter { $0.isLinear || orders.contains($0.name) }.reduce(0) { $0 + $1.bytes }
    }

    /// Bits per weight of the linear layers.
    var bitsPerWeight: Double { linearWeights == 0 ? 0 : Double(linearBytes) * 8 / Double(linearWeights) }

    /// Bytes of all tensors.
    var totalBytes: Int { tensors.reduce(0) { $0 + $1.bytes } }
}
