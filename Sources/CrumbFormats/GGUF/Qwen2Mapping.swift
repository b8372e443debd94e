import CrumbJSON

/// `qwen2`: Qwen 2 and 2.5, with biases on Q, K and V. GGML rotates the halves of a head, so no rows were moved.
struct Qwen2Mapping: ArchitectureMapping {
    let architecture = "qwen2"

    func configuration(_ header: GGUFHeader, path: String) throws(FormatError) -> JSONObject {
        var configuration = try DecoderMapping(architecture, header, path: path).configuration()
        configuration["architectures"] = ["Qwen2ForCausalLM"]
        configuration["model_type"] = "qwen2"
        configuration["use_sliding_window"] = false
        return configuration
    }

    func placement(_ name: String) -> TensorPlacement? {
        if name == DecoderMapping.frequencyFactors { return .configuration }
        return DecoderMapping.tensorName(name).map { .tensor($0) }
    }
}
