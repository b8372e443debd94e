import CrumbJSON

extension Architecture {
    /// Qwen2 and Qwen2.5: Llama with biases on q, k and v, and a sliding window on the later layers where switched on.
    static let qwen2 = Architecture(
        name: "qwen2",
        modelTypes: ["qwen2"],
        tiesByDefault: false,
        biases: { _ throws(ModelError) in [.q, .k, .v] },
        windows: { reader, layers throws(ModelError) in
            let everything = [Int](repeating: .max, count: layers)
            guard try reader.flag("use_sliding_window", default: false), reader.value("sliding_window") != nil else {
                return everything
            }
            let window = try reader.integer("sliding_window", in: windowRange)
            if let types = reader.value("layer_types")?.array {
                guard types.count == layers else {
                    throw reader.error("layer_types", "names \(types.count) layers, but there are \(layers)")
                }
                return types.map { $0.string == "sliding_attention" ? window : .max }
            }
            let first = try reader.integer("max_window_layers", in: 0...1024, default: 28)
            return (0..<layers).map { $0 >= first ? window : .max }
        })
}
