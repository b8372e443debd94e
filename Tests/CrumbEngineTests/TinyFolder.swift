import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbTensor
import CrumbThreads
import Foundation
import Logging

/// A Hugging Face folder with a tiny random model, to be changed and then written below the temporary folder. What was
/// written is removed with it.
final class TinyFolder {
    struct Tensor {
        var type: StorageType
        var shape: [Int]
        var bytes: [UInt8]
    }

    static let hidden = 128
    static let intermediate = 192
    static let vocabulary = 264

    var configuration: JSONObject = [
        "model_type": "llama", "hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "vocab_size": 264,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": false, "eos_token_id": 257,
    ]
    var tokenizer: JSONValue
    var tokenizerConfiguration: JSONObject = [
        "bos_token": "<s>", "eos_token": "</s>", "chat_template": .string(template),
    ]
    var generationConfiguration: JSONObject?
    var tensors: [String: Tensor] = [:]
    let path: String

    /// Roles and contents between markers that are tokens.
    private static let template =
        "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}</s>{% endfor %}"
        + "{% if add_generation_prompt %}<|assistant|>{% endif %}"

    /// (name without ".weight", N, K) of all matrices.
    static var matrices: [(name: String, rows: Int, columns: Int)] {
        let layers = (0..<2).flatMap { layer in
            [
                ("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", hidden / 2, hidden),
                ("self_attn.v_proj", hidden / 2, hidden), ("self_attn.o_proj", hidden, hidden),
                ("mlp.gate_proj", intermediate, hidden), ("mlp.up_proj", intermediate, hidden),
                ("mlp.down_proj", hidden, intermediate),
            ].map { ("model.layers.\(layer).\($0.0)", $0.1, $0.2) }
        }
        return [("model.embed_tokens", vocabulary, hidden)] + layers + [("lm_head", vocabulary, hidden)]
    }

    init(seed: UInt64 = 1, addsBOS: Bool = true) {
        path = NSTemporaryDirectory() + "crumb-test-\(UUID().uuidString)"
        tokenizer = Self.byteTokenizer(addsBOS: addsBOS)
        var random = RandomSource(seed: seed)
        for matrix in Self.matrices {
            set(
                "\(matrix.name).weight", [matrix.rows, matrix.columns],
                (0..<matrix.rows * matrix.columns).map { _ in
                    Float(random.uniform() - 0.5) / 4
                })
        }
        let norms = (0..<2).flatMap {
            ["model.layers.\($0).input_layernorm", "model.layers.\($0).post_attention_layernorm"]
        }
        for norm in norms + ["model.norm"] {
            set("\(norm).weight", [Self.hidden], [Float](repeating: 1, count: Self.hidden))
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func set(_ name: String, _ shape: [Int], _ numbers: [Float]) {
        tensors[name] = Tensor(type: .f32, shape: shape, bytes: numbers.withUnsafeBytes { Array($0) })
    }

    /// Writes all files and gives the folder's path.
    func write() throws -> String {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try file("config.json", .object(configuration))
        try file("tokenizer.json", tokenizer)
        try file("tokenizer_config.json", .object(tokenizerConfiguration))
        if let generationConfiguration { try file("generation_config.json", .object(generationConfiguration)) }
        let sorted = tensors.sorted { $0.key < $1.key }
        let layouts = sorted.compactMap { TensorLayout(name: $0.key, type: $0.value.type, shape: $0.value.shape) }
        let writer = try SafetensorsWriter(path: path + "/model.safetensors", tensors: layouts)
        for (_, tensor) in sorted { try tensor.bytes.withUnsafeBytes { try writer.append($0) } }
        try writer.finish()
        return path
    }

    /// Writes all files and opens them, on one thread of plain loops.
    func load(backend: BackendChoice = .reference) throws -> LoadedModel {
        _ = try write()
        return try open(backend: backend)
    }

    /// Opens the files that stand there.
    func open(backend: BackendChoice = .reference, verifiesDigests: Bool = false) throws -> LoadedModel {
        let loader = ModelLoader(
            backend: backend, verifiesDigests: verifiesDigests, pool: ThreadPool(threadCount: 1),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        return try loader.load(path)
    }

    private func file(_ name: String, _ value: JSONValue) throws {
        try AtomicFile.write(JSON.serialize(value, pretty: true), to: path + "/" + name)
    }

    /// Bytes 0 ... 255 are tokens 0 ... 255, and there are a few special tokens above them.
    private static func byteTokenizer(addsBOS: Bool) -> JSONValue {
        var vocabulary = JSONObject()
        for (id, character) in byteCharacters.enumerated() { vocabulary[character] = JSONValue(id) }
        let specials = ["<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"]
        let added: [JSONValue] = specials.enumerated().map { index, content in
            [
                "id": JSONValue(256 + index), "content": .string(content), "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            ]
        }
        let processor: JSONValue = [
            "type": "TemplateProcessing",
            "single": [["SpecialToken": ["id": "<s>", "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]]],
            "pair": [], "special_tokens": ["<s>": ["id": "<s>", "ids": [256], "tokens": ["<s>"]]],
        ]
        return [
            "version": "1.0", "added_tokens": .array(added), "normalizer": nil,
            "pre_tokenizer": [
                "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
            ],
            "post_processor": addsBOS ? processor : nil, "decoder": ["type": "ByteLevel"],
            "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": []],
        ]
    }

    /// The characters that byte-level vocabularies write bytes with: printable ones stand for themselves, the others are
    /// counted up from U+0100.
    private static var byteCharacters: [String] {
        var next = 256
        return (0..<256).map { byte in
            let isPrintable = (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
            if !isPrintable { next += 1 }
            return String(Character(UnicodeScalar(UInt32(isPrintable ? byte : next - 1)) ?? " "))
        }
    }
}
