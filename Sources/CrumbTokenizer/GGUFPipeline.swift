import CrumbJSON

/// The pipeline that a GGUF file names, spelled out as tokenizer.json wants it.
struct GGUFPipeline {
    let isSentencePiece: Bool
    let normalizer: JSONValue
    let preTokenizer: JSONValue
    let decoder: JSONValue
    /// Whether a text starts with the BOS token and ends with the EOS token.
    let addsBOS: Bool
    let addsEOS: Bool
    private let ignoresMerges: Bool

    init(_ arrays: GGUFVocabularyArrays) throws(TokenizerError) {
        addsEOS = arrays.addEOS ?? false
        switch arrays.model {
        case "gpt2":
            isSentencePiece = false
            let pre = arrays.preTokenizer ?? "default"
            let byteLevel = Self.byteLevel(usesRegex: false)
            var hasNFC = false
            switch pre {
            case "gpt-2", "default":
                preTokenizer = Self.byteLevel(usesRegex: true)
            case "smollm":
                preTokenizer = Self.sequence(
                    "pretokenizers",
                    [["type": "Digits", "individual_digits": true], Self.byteLevel(usesRegex: true)])
            case "llama-bpe":
                preTokenizer = Self.sequence("pretokenizers", [Self.split(.llama3), byteLevel])
            case "qwen2", "deepseek-r1-qwen":
                preTokenizer = Self.sequence("pretokenizers", [Self.split(.qwen2), byteLevel])
                hasNFC = true
            default:
                throw TokenizerError(
                    source: "tokenizer.ggml.pre",
                    reason: "the pre-tokenizer \(quoted(pre)) is not known; Crumb knows default, gpt-2, smollm, "
                        + "llama-bpe, qwen2, deepseek-r1-qwen")
            }
            normalizer = hasNFC ? ["type": "NFC"] : nil
            decoder = byteLevel
            // llama.cpp puts BOS before Llama 3 texts unless the file says otherwise.
            addsBOS = arrays.addBOS ?? (pre == "llama-bpe")
            ignoresMerges = pre == "llama-bpe"
        case "llama":
            isSentencePiece = true
            let prefixes = arrays.addSpacePrefix ?? true
            let replace: JSONValue = ["type": "Replace", "pattern": ["String": " "], "content": "\u{2581}"]
            normalizer =
                prefixes
                ? Self.sequence("normalizers", [["type": "Prepend", "prepend": "\u{2581}"], replace]) : replace
            preTokenizer = nil
            var steps: [JSONValue] = [
                ["type": "Replace", "pattern": ["String": "\u{2581}"], "content": " "], ["type": "ByteFallback"],
                ["type": "Fuse"],
            ]
            if prefixes { steps.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
            decoder = Self.sequence("decoders", steps)
            addsBOS = arrays.addBOS ?? true
            ignoresMerges = false
        default:
            throw TokenizerError(
                source: "tokenizer.ggml.model",
                reason: "the tokenizer model \(quoted(arrays.model)) is not known; Crumb knows gpt2 and llama")
        }
    }

    /// The `model` of tokenizer.json.
    func model(_ arrays: GGUFVocabularyArrays, vocabulary: JSONObject, merges: [JSONValue]) -> JSONObject {
        // Byte-level vocabularies have a token for every byte, so nothing is unknown.
        let unknown = isSentencePiece ? arrays.unknownID.map { arrays.tokens[$0] } : nil
        return JSONObject([
            ("type", "BPE"), ("dropout", nil), ("unk_token", unknown.map { .string($0) } ?? nil),
            ("continuing_subword_prefix", nil), ("end_of_word_suffix", nil), ("fuse_unk", .bool(isSentencePiece)),
            ("byte_fallback", .bool(isSentencePiece)), ("ignore_merges", .bool(ignoresMerges)),
            ("vocab", .object(vocabulary)), ("merges", .array(merges)),
        ])
    }

    /// The `post_processor` of tokenizer.json: BOS and EOS, where the file asks for them.
    func postProcessor(_ arrays: GGUFVocabularyArrays) throws(TokenizerError) -> JSONValue {
        var names = JSONObject()
        func special(_ id: Int?, _ isWanted: Bool, _ name: String) throws(TokenizerError) -> [JSONValue] {
            guard isWanted else { return [] }
            guard let id else {
                throw TokenizerError(
                    source: "tokenizer.ggml.\(name)_token_id",
                    reason: "the id is missing, although add_\(name)_token asks for it")
            }
            let token = JSONValue.string(arrays.tokens[id])
            names[arrays.tokens[id]] = ["id": token, "ids": [JSONValue(id)], "tokens": [token]]
            return [["SpecialToken": ["id": token, "type_id": 0]]]
        }
        let before = try special(arrays.bosID, addsBOS, "bos")
        let behind = try special(arrays.eosID, addsEOS, "eos")
        if names.isEmpty { return isSentencePiece ? nil : Self.byteLevel(usesRegex: true) }
        let first: JSONValue = ["Sequence": ["id": "A", "type_id": 0]]
        let second: JSONValue = ["Sequence": ["id": "B", "type_id": 1]]
        return [
            "type": "TemplateProcessing", "single": .array(before + [first] + behind),
            "pair": .array(before + [first] + behind + before + [second] + behind), "special_tokens": .object(names),
        ]
    }

    private static func byteLevel(usesRegex: Bool) -> JSONValue {
        ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": .bool(usesRegex)]
    }

    private static func split(_ pattern: SplitPattern) -> JSONValue {
        ["type": "Split", "pattern": ["Regex": .string(pattern.text)], "behavior": "Isolated", "invert": false]
    }

    private static func sequence(_ key: String, _ steps: [JSONValue]) -> JSONValue {
        .object(JSONObject([("type", "Sequence"), (key, .array(steps))]))
    }
}
