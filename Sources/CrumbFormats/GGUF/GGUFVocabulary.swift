import CrumbJSON

/// The tokenizer of a GGUF file, as its metadata hold it: pieces and merges, but no regular expressions, only the name
/// of a pre-tokenizer that the reader has to know.
package struct GGUFVocabulary: Sendable {
    /// `tokenizer.ggml.model`: "gpt2" for byte-level BPE, "llama" for SentencePiece-style BPE with byte fallback.
    package let model: String
    /// `tokenizer.ggml.pre`: the pre-tokenizer's name, "default" where the file has none.
    package let preTokenizer: String
    /// The text of every token by id. Two may be canonically equivalent; compare them by their UTF-8 bytes.
    package let tokens: [String]
    /// The score of every token by id, or nothing where the model has no scores.
    package let scores: [Float]
    /// The kind of every token by id, or nothing where the file has none.
    package let types: [TokenType]
    /// The merges, best first: two pieces with a space between them.
    package let merges: [String]
    package let bosTokenID: Int?
    package let eosTokenID: Int?
    package let unknownTokenID: Int?
    package let paddingTokenID: Int?
    /// Further tokens that end a turn or a message (`eot`, `eom`), without the end-of-sequence token.
    package let endTokenIDs: [Int]
    /// Whether encoding starts with the beginning-of-sequence token; nil where the file leaves it to the model.
    package let addBOS: Bool?
    /// Whether encoding ends with the end-of-sequence token; nil where the file leaves it to the model.
    package let addEOS: Bool?
    /// Whether a space is put before the text; nil where the file leaves it to the model.
    package let addSpacePrefix: Bool?
    /// The Jinja source of the chat template.
    package let chatTemplate: String?

    /// GGML's `llama_token_type`.
    package enum TokenType: Int, Sendable {
        case undefined, normal, unknown, control, userDefined, unused, byte
    }
}

extension GGUFVocabulary {
    /// Reads the vocabulary of a file, which may hold nothing else.
    ///
    /// - Throws: `FormatError` where the file or its vocabulary is damaged.
    package init(path: String) throws(FormatError) {
        let file = try MappedFile(path: path)
        let header = unsafe try GGUFHeader(file.bytes, path: path)
        try self.init(GGUFMetadata(path: path, values: header.metadata))
    }

    /// Reads the vocabulary out of the metadata.
    ///
    /// - Throws: `FormatError` where a part is missing, has another length than the tokens, or an id is no token's.
    init(_ metadata: GGUFMetadata) throws(FormatError) {
        func key(_ name: String) -> String { "tokenizer.ggml.\(name)" }
        model = try metadata.string(key("model"))
        preTokenizer = try metadata.optionalString(key("pre")) ?? "default"
        let tokens = try metadata.array(key("tokens")) { $0.string }
        guard !tokens.isEmpty else {
            throw FormatError(path: metadata.path, reason: "the vocabulary tokenizer.ggml.tokens is missing or empty")
        }
        self.tokens = tokens
        scores = try metadata.array(key("scores")) { $0.double.map { Float($0) } }
        types = try metadata.array(key("token_type")) { $0.int.flatMap { TokenType(rawValue: $0) } }
        merges = try metadata.array(key("merges")) { $0.string }
        for (name, count) in [("scores", scores.count), ("token_type", types.count)]
        where count != 0 && count != tokens.count {
            throw FormatError(
                path: metadata.path,
                reason: "\(key(name)) has \(count) elements, but there are \(tokens.count) tokens")
        }
        if let nan = scores.firstIndex(where: { !$0.isFinite }) {
            throw FormatError(path: metadata.path, reason: "the score of token \(nan) is not finite")
        }
        func id(_ name: String) throws(FormatError) -> Int? {
            // Some converters write -1 (or its unsigned pattern) for a token that the model lacks.
            if let value = metadata.values[key(name)]?.int, value == -1 || value == Int(UInt32.max) { return nil }
            return try metadata.optionalInt(key(name), in: 0...(tokens.count - 1))
        }
        bosTokenID = try id("bos_token_id")
        eosTokenID = try id("eos_token_id")
        unknownTokenID = try id("unknown_token_id")
        paddingTokenID = try id("padding_token_id")
        addBOS = try metadata.optionalBool(key("add_bos_token"))
        addEOS = try metadata.optionalBool(key("add_eos_token"))
        addSpacePrefix = try metadata.optionalBool(key("add_space_prefix"))
        chatTemplate = try metadata.optionalString("tokenizer.chat_template")

        var ends: [Int] = []
        for end in [try id("eot_token_id"), try id("eom_token_id")] {
            if let end, end != eosTokenID, !ends.contains(end) { ends.append(end) }
        }
        for (id, type) in types.enumerated() where type == .control && id != eosTokenID && !ends.contains(id) {
            if Self.endMarkers.contains(tokens[id]) { ends.append(id) }
        }
        endTokenIDs = ends
    }

    /// Control tokens that end an answer whatever the file's own ids say: the files name only one of them, while
    /// models write any that their templates use.
    private static let endMarkers: Set<String> = [
        "<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "<end_of_turn>",
        "</s>",
    ]
}
