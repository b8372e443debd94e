// Hugging Face tokenizer files for a GGUF source. GGUF names a pipeline ("gpt2", "llama-bpe"); tokenizer.json spells
// it out. The result means the same to Hugging Face `tokenizers` as to Crumb.

package import CrumbJSON

/// Builds tokenizer.json and tokenizer_config.json.
package enum TokenizerJSON {
    /// Both files for the tokenizer of a GGUF file.
    ///
    /// Tokens that only fill up the embedding are left out, so the vocabulary may be smaller than the embedding.
    ///
    /// - Throws: `TokenizerError` where the arrays contradict each other or name a tokenizer that Crumb does not know.
    package static func synthesize(
        _ arrays: GGUFVocabularyArrays
    ) throws(TokenizerError) -> (tokenizer: JSONValue, configuration: JSONValue) {
        try arrays.check()
        let pipeline = try GGUFPipeline(arrays)
        var vocabulary: [(String, JSONValue)] = []
        vocabulary.reserveCapacity(arrays.tokens.count)
        var seen = TokenTable(capacity: arrays.tokens.count)
        var added: [JSONValue] = []
        for (id, token) in arrays.tokens.enumerated() {
            if try arrays.isFiller(id) { continue }
            if let other = seen.insert(token.utf8.span, id: Int32(id)) {
                throw TokenizerError(
                    source: "tokenizer.ggml.tokens", reason: "token \(quoted(token)) has the ids \(other) and \(id)")
            }
            vocabulary.append((token, JSONValue(id)))
            let kind = try arrays.kind(id)
            guard [.control, .unknown, .userDefined].contains(kind), !token.isEmpty else { continue }
            added.append(addedToken(token, id, isSpecial: kind != .userDefined))
        }
        let merges: [JSONValue]
        if pipeline.isSentencePiece {
            merges = try SentencePieceMerges.derive(arrays, seen)
        } else {
            guard let list = arrays.merges else {
                throw TokenizerError(source: "tokenizer.ggml.merges", reason: "a \"gpt2\" tokenizer needs merges")
            }
            merges = list.map { .string($0) }
        }
        let tokenizer = JSONObject([
            ("version", "1.0"), ("truncation", nil), ("padding", nil), ("added_tokens", .array(added)),
            ("normalizer", pipeline.normalizer), ("pre_tokenizer", pipeline.preTokenizer),
            ("post_processor", try pipeline.postProcessor(arrays)), ("decoder", pipeline.decoder),
            ("model", .object(pipeline.model(arrays, vocabulary: JSONObject(vocabulary), merges: merges))),
        ])
        return (.object(tokenizer), .object(configuration(arrays, pipeline)))
    }

    private static func addedToken(_ content: String, _ id: Int, isSpecial: Bool) -> JSONValue {
        [
            "id": JSONValue(id), "content": .string(content), "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": .bool(isSpecial),
        ]
    }

    /// tokenizer_config.json. `PreTrainedTokenizerFast` takes tokenizer.json as it is.
    private static func configuration(_ arrays: GGUFVocabularyArrays, _ pipeline: GGUFPipeline) -> JSONObject {
        func name(_ id: Int?) -> JSONValue { id.map { .string(arrays.tokens[$0]) } ?? nil }
        var configuration = JSONObject([
            ("add_bos_token", .bool(pipeline.addsBOS)), ("add_eos_token", .bool(pipeline.addsEOS)),
            ("bos_token", name(arrays.bosID)), ("clean_up_tokenization_spaces", false),
            ("eos_token", name(arrays.eosID)),
        ])
        if let length = arrays.contextLength { configuration["model_max_length"] = JSONValue(length) }
        configuration["pad_token"] = name(arrays.paddingID)
        configuration["tokenizer_class"] = "PreTrainedTokenizerFast"
        configuration["unk_token"] = name(arrays.unknownID)
        if let template = arrays.chatTemplate { configuration["chat_template"] = .string(template) }
        return configuration
    }
}
