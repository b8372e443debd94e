import CrumbJSON
import CrumbModel
import Testing

@Suite struct ModelConfigurationTests {
    /// A small Llama with every key that must be there.
    private static let base: [(String, JSONValue)] = [
        ("model_type", "llama"), ("hidden_size", 32), ("intermediate_size", 48), ("num_hidden_layers", 3),
        ("num_attention_heads", 4), ("vocab_size", 61), ("max_position_embeddings", 64),
    ]

    private func configuration(_ changes: [(String, JSONValue)]) throws -> ModelConfiguration {
        var object = JSONObject(Self.base)
        for (key, value) in changes { object[key] = value }
        return try ModelConfiguration(object, source: "config.json")
    }

    @Test func missingKeysTakeTheirDefaults() throws {
        let configuration = try configuration([])
        #expect(configuration.numKeyValueHeads == 4)
        #expect(configuration.headDim == 8)
        #expect(configuration.rmsNormEps == 1e-6)
        #expect(configuration.ropeTheta == 10000)
        #expect(configuration.ropeScaling == .none)
        #expect(!configuration.tieWordEmbeddings)
        #expect(configuration.biases.isEmpty)
        #expect(configuration.attentionWindows == [.max, .max, .max])
        #expect(configuration.eosTokenIDs.isEmpty)
    }

    @Test func nullCountsAsMissing() throws {
        let configuration = try configuration([("head_dim", nil), ("num_key_value_heads", nil), ("rope_scaling", nil)])
        #expect(configuration.headDim == 8)
        #expect(configuration.numKeyValueHeads == 4)
    }

    @Test func severalEndTokensAreKept() throws {
        #expect(try configuration([("eos_token_id", [2, 7])]).eosTokenIDs == [2, 7])
        #expect(try configuration([("eos_token_id", 2)]).eosTokenIDs == [2])
    }

    @Test func bothSpellingsOfTheRopeSettingsAreRead() throws {
        let old = try configuration([
            ("rope_theta", 500000.0), ("rope_scaling", ["type": "linear", "factor": 4.0]),
        ])
        let new = try configuration([
            ("rope_parameters", ["rope_type": "linear", "factor": 4.0, "rope_theta": 500000.0])
        ])
        #expect(old.ropeScaling == .linear(factor: 4))
        #expect(new.ropeScaling == old.ropeScaling)
        #expect(new.ropeTheta == 500000)
        #expect(old.ropeTheta == 500000)
    }

    @Test func frequencyFactorsNeedOneForEachPair() throws {
        let scaling: JSONValue = ["rope_type": "crumb_frequency_factors", "factors": [1, 1, 2, 8]]
        #expect(try configuration([("rope_scaling", scaling)]).ropeScaling == .frequencyFactors([1, 1, 2, 8]))
        #expect(throws: ModelError.self) {
            try configuration([("rope_scaling", ["rope_type": "crumb_frequency_factors", "factors": [1, 2]])])
        }
    }

    @Test func windowsFollowTheFamilysRules() throws {
        #expect(try configuration([("sliding_window", 8)]).attentionWindows == [.max, .max, .max])
        #expect(
            try configuration([("model_type", "mistral"), ("sliding_window", 8)]).attentionWindows == [8, 8, 8])
        let qwen: [(String, JSONValue)] = [("model_type", "qwen2"), ("sliding_window", 8), ("max_window_layers", 1)]
        #expect(try configuration(qwen).attentionWindows == [.max, .max, .max])
        #expect(try configuration(qwen + [("use_sliding_window", true)]).attentionWindows == [.max, 8, 8])
    }

    @Test func biasesFollowTheFamilysRules() throws {
        #expect(try configuration([("model_type", "qwen2")]).biases == [.q, .k, .v])
        #expect(try configuration([("attention_bias", true)]).biases == [.q, .k, .v, .o])
        #expect(try configuration([("mlp_bias", true)]).biases == [.gate, .up, .down])
    }

    @Test func anUnknownArchitectureNamesTheKnownOnes() throws {
        let error = #expect(throws: ModelError.self) { try configuration([("model_type", "mamba")]) }
        #expect(
            error?.description
                == "config.json: the architecture \"mamba\" is not known; known are llama, mistral, qwen2")
    }

    @Test(arguments: [
        ("hidden_size", JSONValue.number(.integer(0)), "hidden_size is 0, but must be an integer from 1 to 131072"),
        ("hidden_size", "32", "hidden_size is \"32\", but must be an integer from 1 to 131072"),
        ("hidden_size", 1.5, "hidden_size is 1.5, but must be an integer from 1 to 131072"),
        ("hidden_size", 30, "hidden_size is 30, which num_attention_heads, 4, does not divide; give head_dim"),
        ("hidden_size", 12, "head_dim is 3, but must be even and from 2 to 1024"),
        ("num_hidden_layers", 100000, "num_hidden_layers is 100000, but must be an integer from 1 to 1024"),
        ("num_hidden_layers", nil, "num_hidden_layers is missing from the model's configuration"),
        ("num_key_value_heads", 3, "num_key_value_heads is 3, which does not divide num_attention_heads, 4"),
        ("num_key_value_heads", 0, "num_key_value_heads is 0, but must be an integer from 1 to 1024"),
        ("num_attention_heads", 1.5, "num_attention_heads is 1.5, but must be an integer from 1 to 1024"),
        ("head_dim", 7, "head_dim is 7, but must be even and from 2 to 1024"),
        ("head_dim", 1_000_000, "head_dim is 1000000, but must be an integer from 2 to 1024"),
        ("vocab_size", 4_000_000_000, "vocab_size is 4000000000, but must be an integer from 1 to 16777216"),
        ("vocab_size", -1, "vocab_size is -1, but must be an integer from 1 to 16777216"),
        ("rms_norm_eps", 2.0, "rms_norm_eps is 2.0, but must be a number from 0.0 to 0.1"),
        ("rope_theta", 0.0, "rope_theta is 0.0, but must be a number from 1.0 to 1000000000000000.0"),
        ("rope_theta", -1, "rope_theta is -1, but must be a number from 1.0 to 1000000000000000.0"),
        (
            "partial_rotary_factor", 0.5,
            "partial_rotary_factor is not 1: partly rotated heads are not supported"
        ),
        ("eos_token_id", 61, "eos_token_id is 61, but must be integers from 0 to 60"),
        ("hidden_act", "gelu", "hidden_act is \"gelu\", but only silu is supported"),
        ("tie_word_embeddings", 1, "tie_word_embeddings is 1, but must be true or false"),
        (
            "rope_scaling", ["rope_type": "yarn", "factor": 4.0] as JSONValue,
            "rope_scaling.rope_type is \"yarn\", which is not supported; "
                + "known are default, linear, llama3, crumb_frequency_factors"
        ),
        (
            "rope_scaling", ["rope_type": "linear", "factor": 0] as JSONValue,
            "rope_scaling.factor is 0, but must be a number from 0.001 to 1000000.0"
        ),
    ])
    func aWrongValueIsNamedWithItsLimits(key: String, value: JSONValue, message: String) throws {
        let error = #expect(throws: ModelError.self) { try configuration([(key, value)]) }
        #expect(error?.description == "config.json: " + message)
    }
}
