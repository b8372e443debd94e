import CrumbJSON
package import CrumbModel

/// The sizes of well-known models, for measurements without their checkpoints.
package enum ModelShape: String, Sendable, CaseIterable {
    case llama2_7b = "llama2-7b"
    case llama2_13b = "llama2-13b"
    case llama2_70b = "llama2-70b"
    case llama3_8b = "llama3-8b"
    case qwen2_5_1_5b = "qwen2.5-1.5b"

    /// What the model's `config.json` says, as far as it is looked at.
    package var configuration: ModelConfiguration { get throws { try configuration(layers: sizes.layers) } }

    /// The same with another number of layers.
    package func configuration(layers: Int) throws -> ModelConfiguration {
        let sizes = sizes
        return try ModelConfiguration(
            [
                "model_type": .string(sizes.type), "hidden_size": JSONValue(sizes.hidden),
                "intermediate_size": JSONValue(sizes.intermediate), "num_hidden_layers": JSONValue(layers),
                "num_attention_heads": JSONValue(sizes.heads),
                "num_key_value_heads": JSONValue(sizes.keyValueHeads),
                "vocab_size": JSONValue(sizes.vocabulary), "max_position_embeddings": JSONValue(sizes.positions),
                "rope_theta": JSONValue(sizes.theta), "rms_norm_eps": JSONValue(1e-5),
                "tie_word_embeddings": .bool(sizes.tied),
            ], source: rawValue)
    }

    private struct Sizes {
        var type = "llama"
        var hidden, intermediate, layers, heads, keyValueHeads: Int
        var vocabulary = 32000
        var positions = 4096
        var theta = 10000.0
        var tied = false
    }

    /// Touvron et al. 2023; Llama 3's and Qwen2.5's model cards.
    private var sizes: Sizes {
        switch self {
        case .llama2_7b: Sizes(hidden: 4096, intermediate: 11008, layers: 32, heads: 32, keyValueHeads: 32)
        case .llama2_13b: Sizes(hidden: 5120, intermediate: 13824, layers: 40, heads: 40, keyValueHeads: 40)
        case .llama2_70b: Sizes(hidden: 8192, intermediate: 28672, layers: 80, heads: 64, keyValueHeads: 8)
        case .llama3_8b:
            Sizes(
                hidden: 4096, intermediate: 14336, layers: 32, heads: 32, keyValueHeads: 8, vocabulary: 128_256,
                positions: 8192, theta: 500_000)
        case .qwen2_5_1_5b:
            Sizes(
                type: "qwen2", hidden: 1536, intermediate: 8960, layers: 28, heads: 12, keyValueHeads: 2,
                vocabulary: 151_936, positions: 32768, theta: 1_000_000, tied: true)
        }
    }
}
