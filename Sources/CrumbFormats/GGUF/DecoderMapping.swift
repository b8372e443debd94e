// What the decoder-only architectures with RMSNorm, rotary embedding and a gated MLP have in common.

import CrumbJSON

struct DecoderMapping {
    private let architecture: String
    private let header: GGUFHeader
    private let metadata: GGUFMetadata

    /// Llama 3's RoPE scaling: one divisor for each frequency.
    static let frequencyFactors = "rope_freqs.weight"

    init(_ architecture: String, _ header: GGUFHeader, path: String) {
        self.architecture = architecture
        self.header = header
        metadata = GGUFMetadata(path: path, values: header.metadata)
    }

    func configuration() throws(FormatError) -> JSONObject {
        try refuseUnsupported()
        let hidden = try int("embedding_length", 1...(1 << 20))
        let heads = try int("attention.head_count", 1...4096)
        let keyValueHeads = try metadata.optionalInt(key("attention.head_count_kv"), in: 1...4096) ?? heads
        guard heads % keyValueHeads == 0 else {
            throw error("\(heads) attention heads cannot share \(keyValueHeads) key-value heads evenly")
        }
        let headSize = try headSize(hidden: hidden, heads: heads)
        let rows = try embeddingRows(hidden: hidden)
        guard let epsilon = try metadata.optionalFloat(key("attention.layer_norm_rms_epsilon"), in: 1e-12...0.1) else {
            throw error(
                "the metadata key \(key("attention.layer_norm_rms_epsilon")) is missing; convert the model again")
        }
        let hasHead = header.tensors.contains { $0.name == "output.weight" }
        return [
            "hidden_act": "silu",
            "hidden_size": JSONValue(hidden),
            "intermediate_size": JSONValue(try int("feed_forward_length", 1...(1 << 22))),
            "num_hidden_layers": JSONValue(try int("block_count", 1...1024)),
            "num_attention_heads": JSONValue(heads),
            "num_key_value_heads": JSONValue(keyValueHeads),
            "head_dim": JSONValue(headSize),
            "rms_norm_eps": JSONValue(epsilon),
            "rope_theta": JSONValue(try metadata.optionalFloat(key("rope.freq_base"), in: 1...1e12) ?? 10_000),
            "rope_scaling": try RopeScaling(metadata, prefix: architecture).value,
            "max_position_embeddings": JSONValue(try int("context_length", 1...(1 << 30))),
            "vocab_size": JSONValue(rows),
            "tie_word_embeddings": .bool(!hasHead),
            "bos_token_id": tokenID("bos_token_id", rows: rows),
            "eos_token_id": tokenID("eos_token_id", rows: rows),
        ]
    }

    /// Hugging Face's name of a tensor, nil where these architectures have none of this name.
    static func tensorName(_ name: String) -> String? {
        if let global = globalNames[name] { return global }
        let parts = name.split(separator: ".")
        guard parts.count == 4, parts[0] == "blk", let layer = Int(parts[1]), layer >= 0, "\(layer)" == parts[1],
            let module = blockNames[String(parts[2])]
        else { return nil }
        guard parts[3] == "weight" || (parts[3] == "bias" && !module.hasSuffix("norm")) else { return nil }
        return "model.layers.\(layer).\(module).\(parts[3])"
    }

    private static let globalNames = [
        "token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    ]

    private static let blockNames = [
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    ]

    private func refuseUnsupported() throws(FormatError) {
        if let experts = try metadata.optionalInt(key("expert_count"), in: 0...(1 << 20)), experts > 0 {
            throw error("is a mixture of \(experts) experts, which is not supported; only dense models are")
        }
        if let version = try metadata.optionalInt("general.quantization_version", in: 0...(1 << 20)), version > 2 {
            throw error("GGML quantization version \(version) is unknown; known is version 2")
        }
    }

    private func headSize(hidden: Int, heads: Int) throws(FormatError) -> Int {
        let keyLength = try metadata.optionalInt(key("attention.key_length"), in: 1...4096)
        guard keyLength != nil || hidden % heads == 0 else {
            throw error("the hidden size \(hidden) is not a multiple of the \(heads) attention heads")
        }
        let size = keyLength ?? hidden / heads
        for other in ["attention.value_length", "rope.dimension_count"] {
            if let length = try metadata.optionalInt(key(other), in: 1...4096), length != size {
                throw error("\(key(other)) is \(length) but a head has \(size) dimensions, which is not supported")
            }
        }
        guard size % 2 == 0 else { throw error("a head of \(size) dimensions cannot be rotated; it must be even") }
        return size
    }

    /// The rows of the embedding; the metadata's own count is left out of many files, and padded in some.
    private func embeddingRows(hidden: Int) throws(FormatError) -> Int {
        guard let embedding = header.tensors.first(where: { $0.name == "token_embd.weight" }) else {
            throw error("the tensor token_embd.weight is missing; the file holds no complete model")
        }
        let shape = embedding.layout.shape
        guard shape.count == 2, shape[1] == hidden, shape[0] <= 1 << 24 else {
            throw error("token_embd.weight has the shape \(shape), but must be [vocabulary, \(hidden)]")
        }
        return shape[0]
    }

    private func tokenID(_ name: String, rows: Int) -> JSONValue {
        guard let id = metadata.values["tokenizer.ggml.\(name)"]?.int, (0..<rows).contains(id) else { return nil }
        return JSONValue(id)
    }

    private func int(_ name: String, _ range: ClosedRange<Int>) throws(FormatError) -> Int {
        try metadata.int(key(name), in: range)
    }

    private func key(_ name: String) -> String { "\(architecture).\(name)" }

    private func error(_ reason: String) -> FormatError { FormatError(path: metadata.path, reason: reason) }
}
