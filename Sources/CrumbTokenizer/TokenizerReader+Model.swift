import CrumbJSON

extension TokenizerReader {
    /// Reads the model: byte pair encoding is the only type.
    func model(
        _ value: JSONValue?, _ vocabulary: ReadVocabulary, isByteLevel: Bool
    ) throws(TokenizerError) -> BytePairModel {
        let part = try object(value ?? .null, "model")
        if let type = part["type"], !type.isNull, type.string.map({ Array($0.utf8) != Array("BPE".utf8) }) ?? true {
            throw error("the model type \(quoted(type.string ?? "?")) is not known; Crumb reads \"BPE\"")
        }
        if let dropout = part["dropout"], !dropout.isNull, dropout.double != 0 {
            throw error("the model's \"dropout\" must be null or 0, as ids would be random")
        }
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let affix = part[key], !affix.isNull, affix.string?.isEmpty != true {
                throw error("the model's \"\(key)\" must be null or empty, other values are not supported")
            }
        }
        var unknown: Int32?
        if let token = part["unk_token"], !token.isNull {
            guard let name = token.string, let id = vocabulary.model.find(name.utf8.span) else {
                throw error(
                    "the model's \"unk_token\" \(quoted(token.string ?? "?")) is not in its vocabulary; use null")
            }
            unknown = id
        }
        let (merges, marksOnlyLead) = try merges(part["merges"], vocabulary.model)
        return BytePairModel(
            vocabulary: vocabulary.model, merges: merges, isByteLevel: isByteLevel, unknown: unknown,
            fusesUnknown: try flag(part, "fuse_unk", "model", default: false),
            fallback: try flag(part, "byte_fallback", "model", default: false) ? fallback(vocabulary.model) : [],
            wholeWords: try flag(part, "ignore_merges", "model", default: false)
                ? wholeWords(vocabulary, isByteLevel) : nil,
            marksOnlyLead: marksOnlyLead)
    }

    /// Reads the merges, each "left right" or ["left", "right"]; left, right and both together must be tokens.
    ///
    /// - Returns: besides the merges, whether no token that they give has anything but space marks before a space mark.
    private func merges(
        _ value: JSONValue?, _ vocabulary: TokenTable
    ) throws(TokenizerError) -> (MergeTable, marksOnlyLead: Bool) {
        guard let list = value?.array else { throw error("the model's \"merges\" must be a list") }
        guard list.count <= MergeTable.maximalCount else {
            throw error("the model has \(list.count) merges, above the limit of \(MergeTable.maximalCount)")
        }
        var table = MergeTable(count: list.count)
        var marksOnlyLead = true
        var joined: [UInt8] = []
        for (rank, merge) in list.enumerated() {
            joined.removeAll(keepingCapacity: true)
            var leftCount = 0
            switch merge {
            case .string(let text):
                if rank == 0, text.utf8.starts(with: "#version".utf8) { continue }
                joined += text.utf8
                let space = UInt8(ascii: " ")
                guard let cut = joined.firstIndex(of: space), joined.lastIndex(of: space) == cut else {
                    throw error("merge \(rank) is \(quoted(text)), not two tokens with one space between them")
                }
                joined.remove(at: cut)
                leftCount = cut
            case .array(let pair):
                guard pair.count == 2, let left = pair[0].string, let right = pair[1].string else {
                    throw error("merge \(rank) must be a list of two texts")
                }
                joined += left.utf8
                leftCount = joined.count
                joined += right.utf8
            default:
                throw error("merge \(rank) must be a text or a list of two texts")
            }
            let text = joined.span
            guard let left = vocabulary.find(text, 0..<leftCount),
                let right = vocabulary.find(text, leftCount..<text.count), let result = vocabulary.find(text)
            else {
                let parts = [joined[..<leftCount], joined[leftCount...], joined[...]]
                let missing = parts.first { vocabulary.find(Array($0).span) == nil } ?? []
                throw error(
                    "merge \(rank) needs the token \(quoted(String(decoding: missing, as: UTF8.self))), which is not "
                        + "in the vocabulary")
            }
            table.append(left: left, right: right, result: result)
            marksOnlyLead = marksOnlyLead && Self.marksOnlyLead(text)
        }
        return (table, marksOnlyLead)
    }

    private static func marksOnlyLead(_ token: Span<UInt8>) -> Bool {
        var hasOther = false
        var position = 0
        while position < token.count {
            if matches(token, at: position, BytePairModel.spaceMark) {
                if hasOther { return false }
                position += BytePairModel.spaceMark.count
            } else {
                hasOther = true
                position += 1
            }
        }
        return true
    }

    /// The tokens "<0x00>" to "<0xFF>", written with capital digits.
    private func fallback(_ vocabulary: TokenTable) -> [Int32] {
        let digits = Array("0123456789ABCDEF".utf8)
        return (0..<256).map { byte in
            let token = Array("<0x".utf8) + [digits[byte >> 4], digits[byte & 15], UInt8(ascii: ">")]
            return vocabulary.find(token.span) ?? -1
        }
    }

    /// All tokens of the model by the bytes of the word that they stand for.
    private func wholeWords(_ vocabulary: ReadVocabulary, _ isByteLevel: Bool) -> TokenTable {
        if !isByteLevel { return vocabulary.model }
        var table = TokenTable(capacity: vocabulary.model.count)
        let storage = vocabulary.texts.storage
        for id in 0..<Int32(vocabulary.texts.count) {
            // Tokens outside the byte alphabet can be no word.
            guard let range = vocabulary.texts.range(id),
                let word = ByteAlphabet.decode(storage.span.extracting(range))
            else { continue }
            table.insert(word.span, id: id)
        }
        return table
    }
}
