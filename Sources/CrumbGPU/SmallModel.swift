import CrumbABI
import CrumbJSON
package import CrumbModel
import CrumbPacked
package import CrumbTensor

/// A small random decoder whose sizes the GPU's kernels serve, for comparisons with the CPU.
package struct SmallModel: Sendable, CustomStringConvertible {
    package var segments = 1
    package var isPacked = true
    /// 16, 8 or 4.
    package var headBits = 8
    package var tied = true
    package var hasBiases = false
    /// Latest positions that tokens see in the first layer; 0 for all.
    package var window = 0
    package var type = StorageType.f32
    /// Sets a weight of the untied fp16 head to NaN.
    package var breaksHead = false
    package var seed: UInt64 = 1
    private var hidden = 96
    private var intermediate = 176
    private var layers = 3
    private var heads = 6
    private var keyValueHeads = 2
    private var headDim = 32

    package static let vocabulary = 83

    package init(
        segments: Int = 1, isPacked: Bool = true, headBits: Int = 8, tied: Bool = true, hasBiases: Bool = false,
        window: Int = 0, type: StorageType = .f32
    ) {
        self.segments = segments
        self.isPacked = isPacked
        self.headBits = headBits
        self.tied = tied
        self.hasBiases = hasBiases
        self.window = window
        self.type = type
    }

    /// The same with other sizes.
    package func sized(
        hidden: Int, intermediate: Int, heads: Int, keyValueHeads: Int, headDim: Int, layers: Int = 2
    ) -> SmallModel {
        var model = self
        model.hidden = hidden
        model.intermediate = intermediate
        model.heads = heads
        model.keyValueHeads = keyValueHeads
        model.headDim = headDim
        model.layers = layers
        return model
    }

    /// What it is, in a few words: "packed, 2 segments, 8-bit head, 6 / 2 heads of 32".
    package var description: String {
        var words = [isPacked ? "packed" : "16-bit matrices from \(type.rawValue)"]
        if segments > 1 { words.append("\(segments) segments") }
        words.append("\(headBits)-bit head\(tied ? "" : " of its own")")
        if hasBiases { words.append("biases") }
        if window > 0 { words.append("window of \(window)") }
        return (words + ["hidden \(hidden)", "\(heads) / \(keyValueHeads) heads of \(headDim)"]).joined(separator: ", ")
    }

    /// As a `config.json` would have it.
    package func configuration() throws -> ModelConfiguration {
        var keys: JSONObject = [
            "model_type": "llama", "hidden_size": JSONValue(hidden), "intermediate_size": JSONValue(intermediate),
            "num_hidden_layers": JSONValue(layers), "num_attention_heads": JSONValue(heads),
            "num_key_value_heads": JSONValue(keyValueHeads), "head_dim": JSONValue(headDim),
            "vocab_size": JSONValue(Self.vocabulary),
            "max_position_embeddings": 256, "attention_bias": .bool(hasBiases), "mlp_bias": .bool(hasBiases),
            "tie_word_embeddings": .bool(tied), "rms_norm_eps": 1e-5,
        ]
        if window > 0 {
            keys["model_type"] = "mistral"
            keys["sliding_window"] = JSONValue(window)
        }
        return try ModelConfiguration(keys, source: "random")
    }

    /// The same numbers for the same `seed`.
    package func weights(_ sizes: ModelConfiguration) throws -> DecoderWeights {
        var random = RandomStream(seed: seed)
        func norm() -> [Float] { (0..<sizes.hiddenSize).map { _ in 1 + 0.2 * random.symmetric() } }
        let layers = try (0..<sizes.numHiddenLayers).map { layer in
            // Orders differ from layer to layer, and so does their padding.
            let fourBit = layer % 2 == 0 ? 64 : 32
            let hiddenOrder = RandomWeights.order(sizes.hiddenSize, segments: 1, fourBit: fourBit, &random)
            let mlpOrder = RandomWeights.order(sizes.hiddenSize, segments: 1, fourBit: fourBit, &random)
            let outputOrder = RandomWeights.order(sizes.queryFeatures, segments: segments, fourBit: 32, &random)
            let downOrder = RandomWeights.order(sizes.intermediateSize, segments: segments, fourBit: 32, &random)
            return try LayerWeights(inputNorm: norm(), postAttentionNorm: norm()) { projection in
                let (rows, columns) = sizes.shape(of: projection)
                let name = "layer \(layer) \(projection.name)"
                let bias = sizes.biases.contains(projection) ? (0..<rows).map { _ in random.symmetric() } : nil
                guard isPacked else {
                    return LinearWeight(
                        name: name, storage: .dense(RandomWeights.dense(name, rows, columns, type, &random)), bias: bias
                    )
                }
                let (order, cut, four): (ChannelOrder, Int, Int) =
                    switch projection {
                    case .q, .k, .v: (hiddenOrder, 1, fourBit)
                    case .gate, .up: (mlpOrder, 1, fourBit)
                    case .o: (outputOrder, segments, 32)
                    case .down: (downOrder, segments, 32)
                    }
                return LinearWeight(
                    name: name,
                    storage: .packed(
                        try RandomWeights.packed(
                            rows, columns, segments: cut, order: order, fourBitChannels: four, &random)),
                    bias: bias)
            }
        }
        func table(_ name: String) throws -> LinearWeight {
            let (rows, columns) = (sizes.vocabSize, sizes.hiddenSize)
            return LinearWeight(
                name: name,
                storage: headBits == 16
                    ? .dense(
                        RandomWeights.dense(name, rows, columns, type, &random, isBroken: breaksHead && name == "head"))
                    : .grouped(try RandomWeights.grouped(rows, columns, bits: headBits, &random)))
        }
        let embedding = try table("embedding")
        let finalNorm = norm()
        return DecoderWeights(
            embedding: embedding, layers: layers, finalNorm: finalNorm, head: tied ? embedding : try table("head"))
    }
}
