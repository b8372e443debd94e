/// The tokenizer of a GGUF file as plain arrays: the values of its `tokenizer.ggml.*` keys, absent ones nil.
package struct GGUFVocabularyArrays: Sendable {
    /// `model`: "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE).
    package var model: String
    /// `pre`: which pre-tokenizer goes with "gpt2".
    package var preTokenizer: String?
    /// `tokens`, one for each id.
    package var tokens: [String]
    /// `scores`, one for each id; only "llama" needs them.
    package var scores: [Float]?
    /// `token_type`, one for each id; see `TokenKind`.
    package var tokenTypes: [Int]?
    /// `merges`, each "left right"; only "gpt2" needs them.
    package var merges: [String]?
    package var bosID: Int?
    package var eosID: Int?
    package var unknownID: Int?
    package var paddingID: Int?
    package var addBOS: Bool?
    package var addEOS: Bool?
    /// `add_space_prefix`: whether a "llama" text starts with a space mark; true where absent.
    package var addSpacePrefix: Bool?
    /// `tokenizer.chat_template`.
    package var chatTemplate: String?
    /// `<architecture>.context_length`, which becomes `model_max_length`.
    package var contextLength: Int?

    package init(model: String, tokens: [String]) {
        self.model = model
        self.tokens = tokens
    }

    /// `token_type` of the GGUF specification.
    enum TokenKind: Int {
        case normal = 1
        case unknown, control, userDefined, unused, byte
    }

    /// The kind of the token with this id.
    func kind(_ id: Int) throws(TokenizerError) -> TokenKind {
        guard let tokenTypes else { return .normal }
        guard let kind = TokenKind(rawValue: tokenTypes[id]) else {
            throw TokenizerError(
                source: "tokenizer.ggml.token_type",
                reason: "token \(id) has type \(tokenTypes[id]), but types go from 1 to 6")
        }
        return kind
    }

    /// Whether an id was only put in to fill up the embedding ("[PAD151700]"): no text has it.
    func isFiller(_ id: Int) throws(TokenizerError) -> Bool {
        if try kind(id) == .unused { return true }
        return tokens[id].utf8.starts(with: "[PAD".utf8) && Array(tokens[id].utf8) == Array("[PAD\(id)]".utf8)
    }

    /// Checks the lengths of the arrays and the ranges of the ids.
    func check() throws(TokenizerError) {
        let count = tokens.count
        guard count > 0, count <= 1 << 22 else {
            throw TokenizerError(
                source: "tokenizer.ggml.tokens", reason: "there are \(count) tokens, not between 1 and \(1 << 22)")
        }
        for (name, length) in [("scores", scores?.count), ("token_type", tokenTypes?.count)] {
            guard let length, length != count else { continue }
            throw TokenizerError(
                source: "tokenizer.ggml.\(name)", reason: "there are \(length) values for \(count) tokens")
        }
        for (name, id) in [("bos", bosID), ("eos", eosID), ("unknown", unknownID), ("padding", paddingID)] {
            guard let id, !(0..<count).contains(id) else { continue }
            throw TokenizerError(
                source: "tokenizer.ggml.\(name)_token_id",
                reason: "the id is \(id), but there are \(count) tokens only")
        }
    }
}
