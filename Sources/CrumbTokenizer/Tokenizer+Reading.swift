package import CrumbJSON

extension Tokenizer {
    /// Reads a tokenizer.
    ///
    /// - Parameters:
    ///   - json: the contents of tokenizer.json. Truncation and padding in it are left to the caller.
    ///   - configuration: the contents of tokenizer_config.json, which names the tokens that start and end a text.
    ///   - vocabularyLimit: the rows of the model's embedding; every id must lie below.
    ///   - source: what `json` is, for error messages.
    /// - Throws: `TokenizerError` where a part is malformed, unknown to Crumb or at odds with another one.
    package convenience init(
        json: JSONValue, configuration: JSONValue? = nil, vocabularyLimit: Int? = nil,
        source: String = "tokenizer.json"
    ) throws(TokenizerError) {
        let reader = TokenizerReader(source: source)
        guard let root = json.object else { throw reader.error("the file must hold a JSON object") }
        let normalizer = try reader.normalizer(root["normalizer"])
        let preTokenizer = try reader.preTokenizer(
            root["pre_tokenizer"], isNormalized: !normalizer.steps.isEmpty)
        let vocabulary = try reader.vocabulary(root, limit: vocabularyLimit)
        let model = try reader.model(root["model"], vocabulary, isByteLevel: preTokenizer.isByteLevel)

        var rawTokens = AddedTokenMatcher()
        var normalizedTokens = AddedTokenMatcher()
        var tokens = vocabulary.texts
        var specials = TokenTable()
        for token in vocabulary.added where token.isSpecial { specials.insert(token.content.span, id: token.id) }
        for token in vocabulary.added {
            let normalized = token.isNormalized ? normalizer.normalize(token.content.span) : nil
            let pattern = normalized ?? token.content
            let other =
                token.isNormalized
                ? normalizedTokens.insert(token, pattern: pattern) : rawTokens.insert(token, pattern: pattern)
            if let other {
                throw reader.error(
                    "the added tokens with ids \(other.id) and \(token.id) both look for "
                        + "\(quoted(String(decoding: pattern, as: UTF8.self))); remove one of them")
            }
            tokens.set(token.id, pattern.span)
        }
        var isSpecial = [Bool](repeating: false, count: tokens.count)
        let storage = tokens.storage
        for id in 0..<Int32(tokens.count) {
            guard let range = tokens.range(id) else { continue }
            isSpecial[Int(id)] = specials.find(storage.span, range) != nil
        }
        let (prefix, suffix) = try reader.postProcessor(root["post_processor"], vocabulary)
        let named = try reader.namedTokens(configuration, vocabulary)
        self.init(
            TokenizerParts(
                normalizer: normalizer, preTokenizer: preTokenizer, model: model, rawTokens: rawTokens,
                normalizedTokens: normalizedTokens,
                decoder: TokenDecoder(kind: try reader.decoder(root["decoder"]), tokens: tokens, isSpecial: isSpecial),
                addedIDs: vocabulary.addedIDs, prefix: prefix, suffix: suffix, vocabularySize: tokens.count,
                bosID: named.bos, eosIDs: named.eos.map { [$0] } ?? [], unknownID: named.unknown,
                paddingID: named.padding))
    }
}
