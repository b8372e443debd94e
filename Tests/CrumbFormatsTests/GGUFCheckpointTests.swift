import CrumbFormats
import CrumbJSON
import CrumbTensor
import CrumbTestSupport
import Testing

private func open(_ builder: GGUFBuilder) throws -> any Checkpoint {
    let folder = try TemporaryFolder()
    return try CheckpointReader.open(try folder.write("m.gguf", builder.file))
}

/// The first weight of every row, which tells the row in files of `GGUFBuilder.model`.
private func rowMarks(_ tensor: TensorView) -> [Float] {
    let weights = Dequantizer.dequantize(tensor)
    return (0..<tensor.rows).map { weights[$0 * tensor.columns] }
}

@Suite struct GGUFCheckpointTests {
    @Test func `a llama file has Hugging Face's names, settings and row order`() throws {
        let checkpoint = try open(.model("llama"))
        #expect(checkpoint.formatName == "GGUF")
        #expect(checkpoint.configurationPath == checkpoint.path)
        #expect(try checkpoint.sideFile("LICENSE") == nil)
        #expect(
            checkpoint.tensorNames.prefix(5) == [
                "model.embed_tokens.weight", "model.norm.weight", "model.layers.0.input_layernorm.weight",
                "model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.k_proj.weight",
            ])
        #expect(checkpoint.tensorNames.count == 20)
        #expect(checkpoint.tensorNames.last == "model.layers.1.mlp.down_proj.weight")
        #expect(
            checkpoint.configuration == [
                "hidden_act": "silu", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
                "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "rms_norm_eps": 1e-5,
                "rope_theta": 10_000.0, "rope_scaling": nil, "max_position_embeddings": 64, "vocab_size": 6,
                "tie_word_embeddings": true, "bos_token_id": nil, "eos_token_id": 2,
                "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": false,
                "mlp_bias": false,
            ])
        #expect(!checkpoint.hasTensor("lm_head.weight"))
        #expect(checkpoint.hasTensor("model.layers.1.mlp.up_proj.weight"))
        #expect(throws: FormatError.self) { try checkpoint.tensor("blk.0.attn_q.weight") }
        let down = try checkpoint.tensor("model.layers.0.mlp.down_proj.weight")
        #expect(down.shape == [8, 12])
        // Rows 0 1 2 3 of a head stand in the file as the pairs (0, 2) (1, 3) of Hugging Face's rows.
        let query = try checkpoint.tensor("model.layers.1.self_attn.q_proj.weight")
        #expect(rowMarks(query) == [0, 2, 1, 3, 4, 6, 5, 7])
        let key = try checkpoint.tensor("model.layers.1.self_attn.k_proj.weight")
        #expect(rowMarks(key) == [0, 2, 1, 3])
        let value = try checkpoint.tensor("model.layers.1.self_attn.v_proj.weight")
        #expect(rowMarks(value) == [0, 1, 2, 3])
    }

    @Test func `biases of llama move with their rows, and those of qwen2 stay`() throws {
        let name = "model.layers.0.self_attn.q_proj"
        let llama = try open(.model("llama", hasBias: true))
        #expect(Dequantizer.dequantize(try llama.tensor("\(name).bias")) == [0, 2, 1, 3, 4, 6, 5, 7])
        #expect(llama.configuration["attention_bias"] == true)
        let qwen = try open(.model("qwen2", hasHead: true, hasBias: true))
        #expect(Dequantizer.dequantize(try qwen.tensor("\(name).bias")) == [0, 1, 2, 3, 4, 5, 6, 7])
        #expect(
            rowMarks(try qwen.tensor("\(name).weight")) == [
                0, 1, 2, 3, 4, 5, 6, 7,
            ])
        #expect(qwen.configuration["model_type"] == "qwen2")
        #expect(qwen.configuration["tie_word_embeddings"] == false)
        #expect(qwen.hasTensor("lm_head.weight"))
    }

    @Test func `rows of a quantized Q keep their codes when they move`() throws {
        var builder = GGUFBuilder()
        let model = GGUFBuilder.model("llama")
        for key in model.keys where !String(decoding: key, as: UTF8.self).contains("embedding_length") {
            builder.addRaw(key)
        }
        builder.add("llama.embedding_length", UInt32(32))
        builder.add("llama.attention.key_length", UInt32(4))
        builder.addTensor("token_embd.weight", [32, 6], [Float](repeating: 0, count: 192))
        // 8 rows of one Q8_0 block: scale 1 (half 0x3C00), codes equal to the row.
        let rows = (0..<8).flatMap { row -> [UInt8] in [0, 0x3C] + [UInt8](repeating: UInt8(row), count: 32) }
        builder.addTensor("blk.0.attn_q.weight", [32, 8], type: 8, rows)
        let query = try open(builder).tensor("model.layers.0.self_attn.q_proj.weight")
        #expect(query.type == .q8_0)
        #expect(rowMarks(query) == [0, 2, 1, 3, 4, 6, 5, 7])
    }

    @Test(arguments: [
        ("general.architecture", "mamba", "the architecture \"mamba\" is not supported; known are llama, qwen2"),
        ("llama.rope.scaling.type", "yarn", "RoPE scaling of the type \"yarn\" is not supported"),
    ])
    func `settings that are not supported are refused by name`(key: String, value: String, reason: String) throws {
        var builder = GGUFBuilder()
        for entry in GGUFBuilder.model("llama").keys
        where !String(decoding: entry, as: UTF8.self).contains(key) { builder.addRaw(entry) }
        builder.add(key, value)
        builder.addTensor("token_embd.weight", [8, 6], [Float](repeating: 0, count: 48))
        let error = try #require(throws: FormatError.self) { _ = try open(builder) }
        #expect(error.reason.contains(reason), "\(error)")
    }

    @Test(
        arguments: [
            ("embedding_length", 0, "llama.embedding_length is 0"),
            ("embedding_length", 7, "is not a multiple of the 2"),
            ("embedding_length", 16, "must be [vocabulary, 16]"),
            ("block_count", 1_000_000, "llama.block_count is 1000000"),
            ("attention.head_count_kv", 3, "cannot share 3 key-value heads"),
            ("attention.head_count", 0, "head_count is 0"),
            ("context_length", 0, "llama.context_length is 0"),
            ("feed_forward_length", UInt32.max, "feed_forward_length is"),
            ("rope.dimension_count", 2, "a head has 4 dimensions"), ("attention.key_length", 3, "it must be even"),
            ("expert_count", 8, "a mixture of 8 experts"),
            ("attention.head_count", nil, "llama.attention.head_count is missing"),
            ("attention.layer_norm_rms_epsilon", nil, "layer_norm_rms_epsilon is missing"),
        ] as [(String, UInt32?, String)])
    func `numbers outside sane ranges are refused by key`(key: String, value: UInt32?, reason: String) throws {
        var builder = GGUFBuilder()
        let model = GGUFBuilder.model("llama")
        for entry in model.keys {
            // The key with its length in front, so that one key is not taken for the start of another.
            guard !entry.starts(with: GGUFBuilder.string("llama.\(key)")) else { continue }
            builder.addRaw(entry)
        }
        if let value { builder.add("llama.\(key)", value) }
        builder.addTensor("token_embd.weight", [8, 6], [Float](repeating: 0, count: 48))
        let error = try #require(throws: FormatError.self) { _ = try open(builder) }
        #expect(error.reason.contains(reason), "\(error)")
    }

    @Test func `a tensor without a place in the architecture is refused, as it would be left out silently`() throws {
        for name in [
            "blk.0.attn_q_norm.weight", "blk.0.ffn_gate_exps.weight", "blk.00.attn_q.weight", "x",
            "blk.1.attn_norm.bias",
        ] {
            var builder = GGUFBuilder.model("llama")
            builder.addTensor(name, [8], [Float](repeating: 0, count: 8))
            let error = try #require(throws: FormatError.self) { _ = try open(builder) }
            #expect(error.reason.contains("\(name) has no place"), "\(error)")
        }
    }

    @Test func `a part of a split model is refused with the way out`() throws {
        var builder = GGUFBuilder.model("llama")
        builder.add("split.count", type: 2, GGUFBuilder.bytes(UInt16(3)))
        let error = try #require(throws: FormatError.self) { _ = try open(builder) }
        #expect(error.reason.contains("one of 3 parts"))
    }

    @Test func `linear RoPE scaling is passed on`() throws {
        var builder = GGUFBuilder.model("llama")
        builder.add("llama.rope.scaling.type", "linear")
        builder.add("llama.rope.scaling.factor", Float(4))
        #expect(try open(builder).configuration["rope_scaling"] == ["rope_type": "linear", "factor": 4.0])
    }

    @Test func `frequency factors become Llama 3's parameters where those give the same numbers`() throws {
        // The divisors of Llama 3.2 (factor 32, theta 500000) for a head of 4, with 8192 original positions.
        let theta: Float = 500_000
        func scaling(_ factors: [Float]) throws -> JSONValue? {
            var builder = GGUFBuilder()
            for entry in GGUFBuilder.model("llama").keys
            where !entry.starts(with: GGUFBuilder.string("llama.rope.freq_base")) { builder.addRaw(entry) }
            builder.add("llama.rope.freq_base", theta)
            builder.addTensor("token_embd.weight", [8, 6], [Float](repeating: 0, count: 48))
            builder.addTensor("rope_freqs.weight", [UInt64(factors.count)], factors)
            let checkpoint = try open(builder)
            #expect(checkpoint.tensorNames == ["model.embed_tokens.weight"])
            return checkpoint.configuration["rope_scaling"]
        }
        // Waves in 8192 positions: 1304 of the first, 8192 / (2 pi sqrt(500000)) = 1.8438 of the second.
        let smooth = (8192 / (2 * Double.pi * 500_000.0.squareRoot()) - 1) / 3
        let second = Float(1 / ((1 - smooth) / 32 + smooth))
        #expect(try scaling([1, 1]) == JSONValue.null)
        // The second divisor is between 1 and 32, so the factor 32 shows nowhere and they stand as they are.
        #expect(
            try scaling([1, second])
                == ["rope_type": "crumb_frequency_factors", "factors": [1.0, .number(.double(Double(second)))]])
        #expect(throws: FormatError.self) { try scaling([1, .nan]) }
        #expect(throws: FormatError.self) { try scaling([1, 0]) }
        #expect(throws: FormatError.self) { try scaling([1, 1, 1]) }
    }

    @Test func `the published factors of Llama 3 are recognized`() throws {
        var builder = GGUFBuilder()
        for entry in GGUFBuilder.model("llama").keys
        where !entry.starts(with: GGUFBuilder.string("llama.rope.freq_base")) { builder.addRaw(entry) }
        builder.add("llama.rope.freq_base", Float(500_000))
        builder.add("llama.attention.key_length", UInt32(64))
        builder.addTensor("token_embd.weight", [8, 6], [Float](repeating: 0, count: 48))
        // Llama 3.2 1B's rope_freqs.weight as its converter computes them.
        let factors = (0..<32).map { index -> Float in
            var frequency = 1.0
            for _ in 0..<index { frequency /= 1.506_929_107_208_937_8 }  // 500000^(1/32)
            let waves = 8192 * frequency / (2 * Double.pi)
            if waves > 4 { return 1 }
            if waves < 1 { return 32 }
            let smooth = (waves - 1) / 3
            return Float(1 / ((1 - smooth) / 32 + smooth))
        }
        builder.addTensor("rope_freqs.weight", [32], factors)
        #expect(
            try open(builder).configuration["rope_scaling"] == [
                "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            ])
    }

    @Test func `a file that shrinks or changes after opening is noticed`() throws {
        let folder = try TemporaryFolder()
        let file = GGUFBuilder.model("llama").file
        let path = try folder.write("m.gguf", file)
        let checkpoint = try CheckpointReader.open(path)
        try checkpoint.checkUnchanged()
        try truncateFile(path, to: file.count - 32)
        let error = try #require(throws: FormatError.self) { try checkpoint.checkUnchanged() }
        #expect(error.reason.contains("\(file.count) bytes when opened, \(file.count - 32) now"))
    }

    @Test func `paths that are no checkpoint are refused with a sentence`() throws {
        let folder = try TemporaryFolder()
        for (name, bytes) in [("empty.gguf", []), ("text.gguf", Array("hello, this is text".utf8))]
            as [(String, [UInt8])]
        {
            let path = try folder.write(name, bytes)
            #expect(throws: FormatError.self) { try CheckpointReader.open(path) }
        }
        let missing = try #require(throws: FormatError.self) { _ = try CheckpointReader.open("\(folder.path)/none") }
        #expect(missing.reason.contains("does not exist"))
        #expect(throws: FormatError.self) { try CheckpointReader.open("/dev/null") }
    }
}
