/// Composes GGUF files byte by byte, sound ones and lying ones.
struct GGUFBuilder {
    var magic: [UInt8] = Array("GGUF".utf8)
    var version: UInt32 = 3
    /// What the header claims; nil for the truth.
    var claimedTensors: UInt64?
    var claimedKeys: UInt64?
    var alignment = 32
    private(set) var keys: [[UInt8]] = []
    private var tensors: [(info: [UInt8], data: [UInt8])] = []
    private var dataBytes = 0

    /// A value of the given type number, its bytes as they stand in the file.
    mutating func add(_ key: String, type: UInt32, _ value: [UInt8]) {
        keys.append(Self.string(key) + Self.bytes(type) + value)
    }

    mutating func add(_ key: String, _ value: String) { add(key, type: 8, Self.string(value)) }
    mutating func add(_ key: String, _ value: UInt32) { add(key, type: 4, Self.bytes(value)) }
    mutating func add(_ key: String, _ value: Float) { add(key, type: 6, Self.bytes(value.bitPattern)) }
    mutating func add(_ key: String, _ value: Bool) { add(key, type: 7, [value ? 1 : 0]) }
    mutating func add(_ key: String, _ value: [String]) {
        add(key, type: 9, Self.bytes(UInt32(8)) + Self.bytes(UInt64(value.count)) + value.flatMap(Self.string))
    }
    mutating func add(_ key: String, _ value: [Int32]) {
        add(key, type: 9, Self.bytes(UInt32(5)) + Self.bytes(UInt64(value.count)) + value.flatMap { Self.bytes($0) })
    }
    mutating func add(_ key: String, _ value: [Float]) {
        let data = value.flatMap { Self.bytes($0.bitPattern) }
        add(key, type: 9, Self.bytes(UInt32(6)) + Self.bytes(UInt64(value.count)) + data)
    }

    /// Appends bytes as they are where the next key would stand.
    mutating func addRaw(_ bytes: [UInt8]) { keys.append(bytes) }

    /// A tensor; `dimensions` as in the file, innermost first. Without `offset` it stands behind the one before.
    mutating func addTensor(
        _ name: String, _ dimensions: [UInt64], type: UInt32, offset: UInt64? = nil, rank: UInt32? = nil,
        _ data: [UInt8]
    ) {
        let place = offset ?? UInt64(dataBytes)
        var info = Self.string(name) + Self.bytes(rank ?? UInt32(dimensions.count))
        info += dimensions.flatMap { Self.bytes($0) } + Self.bytes(type) + Self.bytes(place)
        let padded = data + [UInt8](repeating: 0, count: (alignment - data.count % alignment) % alignment)
        tensors.append((info, padded))
        dataBytes += padded.count
    }

    /// A tensor of singles.
    mutating func addTensor(_ name: String, _ dimensions: [UInt64], _ values: [Float]) {
        addTensor(name, dimensions, type: 0, values.flatMap { Self.bytes($0.bitPattern) })
    }

    var header: [UInt8] {
        magic + Self.bytes(version) + Self.bytes(claimedTensors ?? UInt64(tensors.count))
            + Self.bytes(claimedKeys ?? UInt64(keys.count)) + keys.joined() + tensors.flatMap(\.info)
    }

    var file: [UInt8] {
        let header = header
        let padding = tensors.isEmpty ? 0 : (alignment - header.count % alignment) % alignment
        return header + [UInt8](repeating: 0, count: padding) + tensors.flatMap(\.data)
    }

    static func string(_ text: String) -> [UInt8] { bytes(UInt64(text.utf8.count)) + Array(text.utf8) }

    static func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}

extension GGUFBuilder {
    /// A complete tiny model: 2 layers, hidden size 8, 2 heads over 1 key-value head, 6 tokens. Row r of a matrix holds
    /// the number r everywhere, so that moved rows show.
    static func model(_ architecture: String, hasHead: Bool = false, hasBias: Bool = false) -> GGUFBuilder {
        var builder = GGUFBuilder()
        builder.add("general.architecture", architecture)
        builder.add("\(architecture).block_count", UInt32(2))
        builder.add("\(architecture).context_length", UInt32(64))
        builder.add("\(architecture).embedding_length", UInt32(8))
        builder.add("\(architecture).feed_forward_length", UInt32(12))
        builder.add("\(architecture).attention.head_count", UInt32(2))
        builder.add("\(architecture).attention.head_count_kv", UInt32(1))
        builder.add("\(architecture).attention.layer_norm_rms_epsilon", Float(1e-5))
        builder.add("\(architecture).rope.freq_base", Float(10_000))
        builder.add("tokenizer.ggml.model", "gpt2")
        builder.add("tokenizer.ggml.pre", "smollm")
        builder.add("tokenizer.ggml.tokens", ["a", "b", "ab", "\u{e9}", "e\u{301}", "<|im_end|>"])
        builder.add("tokenizer.ggml.token_type", [1, 1, 1, 1, 1, 3] as [Int32])
        builder.add("tokenizer.ggml.merges", ["a b"])
        builder.add("tokenizer.ggml.eos_token_id", UInt32(2))
        func rows(_ count: Int, _ columns: Int) -> [Float] { (0..<count * columns).map { Float($0 / columns) } }
        builder.addTensor("token_embd.weight", [8, 6], rows(6, 8))
        builder.addTensor("output_norm.weight", [8], rows(1, 8))
        if hasHead { builder.addTensor("output.weight", [8, 6], rows(6, 8)) }
        for layer in 0..<2 {
            for (name, count, columns) in [
                ("attn_norm", 1, 8), ("attn_q", 8, 8), ("attn_k", 4, 8), ("attn_v", 4, 8), ("attn_output", 8, 8),
                ("ffn_norm", 1, 8), ("ffn_gate", 12, 8), ("ffn_up", 12, 8), ("ffn_down", 8, 12),
            ] {
                let shape = count == 1 ? [UInt64(columns)] : [UInt64(columns), UInt64(count)]
                builder.addTensor("blk.\(layer).\(name).weight", shape, rows(count, columns))
                if hasBias && name.hasPrefix("attn_") && count > 1 && name != "attn_output" {
                    builder.addTensor("blk.\(layer).\(name).bias", [UInt64(count)], (0..<count).map { Float($0) })
                }
            }
        }
        return builder
    }
}
