import CrumbFormats
import CrumbJSON
import CrumbTensor
import Glibc

/// A Hugging Face folder with a random llama of a few thousand weights and a tokenizer of 256 byte tokens: everything a
/// command needs of a model, made in a moment.
package struct TinyModel {
    package var hidden = 64
    package var intermediate = 128
    package var layers = 2
    package var heads = 4
    package var keyValueHeads = 2
    package var tied = true
    package var seed: UInt64 = 1
    /// Set one weight of the first q to NaN.
    package var broken = false

    /// 256 bytes, then one token that ends texts.
    package static let vocabulary = 257

    package init() {}

    /// Writes the folder.
    package func write(to folder: String) throws {
        mkdir(folder, 0o755)
        try AtomicFile.write(JSON.serialize(.object(configuration), pretty: true), to: folder + "/config.json")
        try AtomicFile.write(JSON.serialize(Self.tokenizer, pretty: false), to: folder + "/tokenizer.json")
        try AtomicFile.write(
            JSON.serialize(.object(Self.tokenizerConfiguration), pretty: false), to: folder + "/tokenizer_config.json")
        var random = SeededGenerator(seed: seed)
        let tensors = names.map { name, shape -> TensorView in
            let count = shape.reduce(1, *)
            let buffer = HeapBuffer(byteCount: count * 4)
            for index in 0..<count {
                let value = shape.count == 1 ? 1 + 0.1 * random.normal() : 0.15 * random.normal()
                buffer.mutableBytes.storeBytes(of: value, toByteOffset: index * 4, as: Float.self)
            }
            if broken, name.hasSuffix("0.self_attn.q_proj.weight") {
                buffer.mutableBytes.storeBytes(of: Float.nan, toByteOffset: 20, as: Float.self)
            }
            return buffer.tensor(name, .f32, shape)
        }
        let layouts = tensors.compactMap { TensorLayout(name: $0.name, type: $0.type, shape: $0.shape) }
        let writer = try SafetensorsWriter(path: folder + "/model.safetensors", tensors: layouts)
        for tensor in tensors { try writer.append(tensor) }
        try writer.finish()
    }

    private var configuration: JSONObject {
        [
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": JSONValue(hidden),
            "intermediate_size": JSONValue(intermediate), "num_hidden_layers": JSONValue(layers),
            "num_attention_heads": JSONValue(heads), "num_key_value_heads": JSONValue(keyValueHeads),
            "vocab_size": JSONValue(Self.vocabulary), "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "max_position_embeddings": 512, "tie_word_embeddings": .bool(tied), "eos_token_id": 256,
            "bos_token_id": 256,
        ]
    }

    private var names: [(String, [Int])] {
        let head = hidden / heads
        var result: [(String, [Int])] = [("model.embed_tokens.weight", [Self.vocabulary, hidden])]
        for layer in 0..<layers {
            let prefix = "model.layers.\(layer)."
            result += [
                (prefix + "input_layernorm.weight", [hidden]), (prefix + "post_attention_layernorm.weight", [hidden]),
                (prefix + "self_attn.q_proj.weight", [heads * head, hidden]),
                (prefix + "self_attn.k_proj.weight", [keyValueHeads * head, hidden]),
                (prefix + "self_attn.v_proj.weight", [keyValueHeads * head, hidden]),
                (prefix + "self_attn.o_proj.weight", [hidden, heads * head]),
                (prefix + "mlp.gate_proj.weight", [intermediate, hidden]),
                (prefix + "mlp.up_proj.weight", [intermediate, hidden]),
                (prefix + "mlp.down_proj.weight", [hidden, intermediate]),
            ]
        }
        result.append(("model.norm.weight", [hidden]))
        if !tied { result.append(("lm_head.weight", [Self.vocabulary, hidden])) }
        return result
    }

    /// Byte-level BPE without merges: token b is byte b.
    private static var tokenizer: JSONValue {
        let vocabulary =
            (0..<256).map { (byteLevelCharacter(UInt8($0)), JSONValue($0)) } + [("<|end|>", JSONValue(256))]
        return [
            "version": "1.0",
            "added_tokens": [
                [
                    "id": 256, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true,
                ]
            ],
            "normalizer": nil,
            "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true],
            "post_processor": nil,
            "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
            "model": [
                "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
                "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false,
                "vocab": .object(JSONObject(vocabulary)), "merges": [],
            ],
        ]
    }

    private static var tokenizerConfiguration: JSONObject {
        [
            "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>",
            "chat_template": .string(
                "{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
                    + "{% if add_generation_prompt %}[assistant] {% endif %}"),
        ]
    }

    /// GPT-2's printable stand-in for a byte.
    private static func byteLevelCharacter(_ byte: UInt8) -> String {
        func isPrintable(_ byte: Int) -> Bool {
            (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
        }
        if isPrintable(Int(byte)) { return String(UnicodeScalar(byte)) }
        let rank = (0..<Int(byte)).filter { !isPrintable($0) }.count
        return UnicodeScalar(UInt32(256 + rank)).map { String(Character($0)) } ?? ""
    }
}
