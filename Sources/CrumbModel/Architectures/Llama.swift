extension Architecture {
    /// Llama 2 and 3, SmolLM2, and Mistral, which adds a sliding window to every layer.
    static let llama = Architecture(
        name: "llama",
        modelTypes: ["llama", "mistral"],
        tiesByDefault: false,
        biases: { reader throws(ModelError) in
            let attention: Set<Projection> = try reader.flag("attention_bias", default: false) ? [.q, .k, .v, .o] : []
            let mlp: Set<Projection> = try reader.flag("mlp_bias", default: false) ? [.gate, .up, .down] : []
            return attention.union(mlp)
        },
        windows: { reader, layers throws(ModelError) in
            let isMistral = try reader.string("model_type") == "mistral"
            // Llama has no such key; a stray one must not change its results.
            guard isMistral, reader.value("sliding_window") != nil else {
                return [Int](repeating: .max, count: layers)
            }
            return [Int](repeating: try reader.integer("sliding_window", in: windowRange), count: layers)
        })
}
