import CrumbJSON
import CrumbModel
import CrumbTensor

/// A small model of random numbers, and texts for it, that tuning is checked with on a card.
enum CheckModel {
    static func configuration() throws -> ModelConfiguration {
        try ModelConfiguration(
            [
                "model_type": "qwen2", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
                "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 83,
                "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": false,
            ], source: "random")
    }

    static func texts(_ count: Int, length: Int, _ configuration: ModelConfiguration) -> [[Int32]] {
        var random = RandomStream(seed: 3)
        let words = 0..<Int32(configuration.vocabSize)
        return (0..<count).map { _ in (0..<length).map { _ in Int32.random(in: words, using: &random) } }
    }

    static func weights(_ sizes: ModelConfiguration, seed: UInt64) throws -> DecoderWeights {
        var random = RandomStream(seed: seed)
        func vector(_ count: Int, around middle: Float) -> [Float] {
            (0..<count).map { _ in middle + 0.2 * random.symmetric() }
        }
        func dense(_ name: String, _ rows: Int, _ columns: Int, bias: [Float]? = nil) -> LinearWeight {
            LinearWeight(
                name: name, storage: .dense(RandomWeights.dense(name, rows, columns, .f32, &random)), bias: bias)
        }
        let layers = (0..<sizes.numHiddenLayers).map { layer in
            LayerWeights(
                inputNorm: vector(sizes.hiddenSize, around: 1), postAttentionNorm: vector(sizes.hiddenSize, around: 1)
            ) { projection in
                let (rows, columns) = sizes.shape(of: projection)
                return dense(
                    projection.name, rows, columns,
                    bias: sizes.biases.contains(projection) ? vector(rows, around: 0) : nil)
            }
        }
        return DecoderWeights(
            embedding: dense("embedding", sizes.vocabSize, sizes.hiddenSize), layers: layers,
            finalNorm: vector(sizes.hiddenSize, around: 1), head: dense("head", sizes.vocabSize, sizes.hiddenSize))
    }
}
