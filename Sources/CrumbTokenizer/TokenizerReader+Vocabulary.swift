import CrumbJSON

/// All tokens of a tokenizer.json, of the model and added.
struct ReadVocabulary {
    /// Token text to id, of the model alone.
    var model: TokenTable
    /// Content to id, of the added tokens.
    var addedIDs: TokenTable
    /// In the order of the file.
    var added: [AddedToken]
    /// The text of each id of the model.
    var texts: TokenTexts

    /// The id of a token; added tokens come first.
    func id(of token: String) -> Int32? {
        let key = Array(token.utf8)
        return addedIDs.find(key.span) ?? model.find(key.span)
    }
}

extension TokenizerReader {
    /// Reads `model.vocab` and `added_tokens`: ids are unique, below `limit`, and nearly without gaps.
    func vocabulary(_ root: JSONObject, limit: Int?) throws(TokenizerError) -> ReadVocabulary {
        guard let entries = root["model"]?["vocab"]?.object?.entries else {
            throw error("\"model\" must have a \"vocab\" that is an object from tokens to ids")
        }
        let list: [JSONValue]
        switch root["added_tokens"] {
        case .none, .some(.null): list = []
        case .some(.array(let values)): list = values
        default: throw error("\"added_tokens\" must be a list")
        }
        // Tables are as long as the highest id, so that must not be far above the number of tokens.
        let densityLimit = 65_536 + 4 * (entries.count + list.count)
        let idLimit = min(limit ?? densityLimit, densityLimit)

        func checked(_ value: JSONValue?, _ token: String) throws(TokenizerError) -> Int32 {
            guard let id = value?.int, id >= 0 else {
                throw error("the id of token \(quoted(token)) must be an integer from 0")
            }
            guard id < idLimit else {
                throw error(
                    limit == idLimit
                        ? "token \(quoted(token)) has id \(id), but the model's embedding has \(idLimit) rows only; "
                            + "the tokenizer belongs to another model"
                        : "token \(quoted(token)) has id \(id), far above the \(entries.count + list.count) tokens "
                            + "there are")
            }
            return Int32(id)
        }

        var highest: Int32 = -1
        var model = TokenTable(capacity: entries.count)
        var ids: [Int32] = []
        ids.reserveCapacity(entries.count)
        for (token, value) in entries {
            let id = try checked(value, token)
            highest = max(highest, id)
            ids.append(id)
            model.insert(token.utf8.span, id: id)
        }
        var added: [AddedToken] = []
        var addedIDs = TokenTable(capacity: list.count)
        for value in list {
            guard let token = try addedToken(value, checked) else { continue }
            if let other = addedIDs.insert(token.content.span, id: token.id) {
                throw error("the added tokens with ids \(other) and \(token.id) have the same content")
            }
            if let own = model.find(token.content.span), own != token.id {
                throw error(
                    "added token \(quoted(String(decoding: token.content, as: UTF8.self))) has id \(token.id), "
                        + "but id \(own) in the vocabulary")
            }
            highest = max(highest, token.id)
            added.append(token)
        }
        var texts = TokenTexts(count: Int(highest) + 1)
        for (index, entry) in entries.enumerated() {
            if let other = texts[ids[index]] {
                throw error(
                    "tokens \(quoted(String(decoding: other, as: UTF8.self))) and \(quoted(entry.key)) "
                        + "both have id \(ids[index])")
            }
            texts.set(ids[index], entry.key.utf8.span)
        }
        var owners: [Int32: [UInt8]] = [:]
        for token in added {
            if let other = owners[token.id] ?? texts[token.id], other != token.content {
                throw error(
                    "tokens \(quoted(String(decoding: other, as: UTF8.self))) and "
                        + "\(quoted(String(decoding: token.content, as: UTF8.self))) both have id \(token.id)")
            }
            owners[token.id] = token.content
        }
        return ReadVocabulary(model: model, addedIDs: addedIDs, added: added, texts: texts)
    }

    /// One entry of `added_tokens`; nil for one without content, which the reference passes over.
    private func addedToken(
        _ value: JSONValue, _ checked: (JSONValue?, String) throws(TokenizerError) -> Int32
    ) throws(TokenizerError) -> AddedToken? {
        let name = "added token"
        let part = try object(value, name)
        let content = try text(part, "content", name)
        if content.isEmpty { return nil }
        guard content.utf8.count <= AddedToken.maximalLength else {
            throw error(
                "added token \(quoted(content)) has \(content.utf8.count) bytes, above the limit of "
                    + "\(AddedToken.maximalLength)")
        }
        let full = "added token \(quoted(content))"
        return AddedToken(
            id: try checked(part["id"], content), content: Array(content.utf8),
            isSpecial: try flag(part, "special", full), isSingleWord: try flag(part, "single_word", full),
            stripsLeft: try flag(part, "lstrip", full), stripsRight: try flag(part, "rstrip", full),
            isNormalized: try flag(part, "normalized", full))
    }

    /// The tokens that tokenizer_config.json names.
    func namedTokens(
        _ configuration: JSONValue?, _ vocabulary: ReadVocabulary
    ) throws(TokenizerError) -> (bos: Int32?, eos: Int32?, unknown: Int32?, padding: Int32?) {
        func id(_ key: String, mustExist: Bool) throws(TokenizerError) -> Int32? {
            guard let value = configuration?[key], let name = value.string ?? value["content"]?.string else {
                return nil
            }
            let id = vocabulary.id(of: name)
            guard id != nil || !mustExist else {
                throw error("tokenizer_config.json names \(quoted(name)) as \(key), but there is no such token")
            }
            return id
        }
        return (
            try id("bos_token", mustExist: true), try id("eos_token", mustExist: true),
            try id("unk_token", mustExist: false), try id("pad_token", mustExist: false)
        )
    }
}
