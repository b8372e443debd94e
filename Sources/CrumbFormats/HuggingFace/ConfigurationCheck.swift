package import CrumbJSON

/// Holds the numbers of a `config.json` to sane ranges, so that later code may multiply and allocate by them. Keys that
/// are missing are not its subject: the model that needs them says so.
package struct ConfigurationCheck {
    private let path: String
    private let configuration: JSONObject

    package init(path: String, configuration: JSONObject) {
        self.path = path
        self.configuration = configuration
    }

    /// - Throws: `FormatError` with the key, its value and the range.
    package func run() throws(FormatError) {
        for (key, range) in Self.integers { try checkInteger(key, range) }
        for (key, range) in Self.numbers { try checkNumber(key, range) }
        try checkHeads()
        if let quantization = configuration["quantization_config"], !quantization.isNull {
            let method = quantization["quant_method"]?.string
            guard let method, method == "crumb" else {
                throw error(
                    "the weights are quantized by \(JSON.serialize(quantization["quant_method"] ?? nil).prefix(40)),"
                        + " which cannot be read; give the unquantized model or one quantized by crumb")
            }
        }
    }

    private func checkInteger(_ key: String, _ range: ClosedRange<Int>) throws(FormatError) {
        guard let value = configuration[key], !value.isNull else { return }
        guard let number = value.int, range.contains(number) else {
            throw error(
                "\(key) is \(JSON.serialize(value).prefix(40)), but must be an integer from \(range.lowerBound) to"
                    + " \(range.upperBound)")
        }
    }

    private func checkNumber(_ key: String, _ range: ClosedRange<Double>) throws(FormatError) {
        guard let value = configuration[key], !value.isNull else { return }
        guard let number = value.double, range.contains(number) else {
            throw error(
                "\(key) is \(JSON.serialize(value).prefix(40)), but must be a number from \(range.lowerBound) to"
                    + " \(range.upperBound)")
        }
    }

    private func checkHeads() throws(FormatError) {
        guard let heads = configuration["num_attention_heads"]?.int else { return }
        if let keyValueHeads = configuration["num_key_value_heads"]?.int, heads % keyValueHeads != 0 {
            throw error("\(heads) attention heads cannot share \(keyValueHeads) key-value heads evenly")
        }
        let hasHeadSize = configuration["head_dim"].map { !$0.isNull } ?? false
        if !hasHeadSize, let hidden = configuration["hidden_size"]?.int, hidden % heads != 0 {
            throw error("hidden_size \(hidden) is not a multiple of the \(heads) attention heads")
        }
    }

    private static let integers: [(String, ClosedRange<Int>)] = [
        ("hidden_size", 1...(1 << 20)), ("intermediate_size", 1...(1 << 22)), ("num_hidden_layers", 1...1024),
        ("num_attention_heads", 1...4096), ("num_key_value_heads", 1...4096), ("head_dim", 1...4096),
        ("vocab_size", 1...(1 << 24)), ("max_position_embeddings", 1...(1 << 30)), ("sliding_window", 1...(1 << 30)),
    ]

    private static let numbers: [(String, ClosedRange<Double>)] = [
        ("rms_norm_eps", 0...0.1), ("rope_theta", 1...1e12), ("partial_rotary_factor", 0...1),
    ]

    private func error(_ reason: String) -> FormatError { FormatError(path: path, reason: reason) }
}
