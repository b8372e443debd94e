import CrumbJSON

/// `llama`: Llama 2 and 3, Mistral, SmolLM2. Its converter interleaves the rows of Q and K, because GGML rotates
/// neighbouring pairs where Hugging Face rotates the two halves of a head.
struct LlamaMapping: ArchitectureMapping {
    let architecture = "llama"

    func configuration(_ header: GGUFHeader, path: String) throws(FormatError) -> JSONObject {
        var configuration = try DecoderMapping(architecture, header, path: path).configuration()
        configuration["architectures"] = ["LlamaForCausalLM"]
        configuration["model_type"] = "llama"
        let names = Set(header.tensors.map(\.name))
        configuration["attention_bias"] = .bool(names.contains("blk.0.attn_q.bias"))
        configuration["mlp_bias"] = .bool(names.contains("blk.0.ffn_gate.bias"))
        return configuration
    }

    func placement(_ name: String) -> TensorPlacement? {
        if name == DecoderMapping.frequencyFactors { return .configuration }
        guard let target = DecoderMapping.tensorName(name) else { return nil }
        if name.contains(".attn_q.") { return .interleavedRows(target, heads: .query) }
        if name.contains(".attn_k.") { return .interleavedRows(target, heads: .keyValue) }
        return .tensor(target)
    }
}
