import CrumbJSON

extension TokenizerReader {
    /// Reads the normalizer: NFC, Prepend, Replace of a text, and sequences of them.
    func normalizer(_ value: JSONValue?) throws(TokenizerError) -> Normalizer {
        let name = "normalizer"
        var normalizer = Normalizer()
        var growth = 1
        for part in try steps(value, name, "normalizers") {
            switch try type(part, name) {
            case "NFC":
                normalizer.steps.append(.nfc)
            case "Prepend":
                let head = Array(try text(part, "prepend", name).utf8)
                guard head.count <= Normalizer.maximalInsertion else {
                    throw error("the normalizer prepends \(head.count) bytes, above \(Normalizer.maximalInsertion)")
                }
                normalizer.steps.append(.prepend(head))
            case "Replace":
                let replacement = try replacement(part, name)
                growth *= max(
                    1, (replacement.content.count + replacement.pattern.count - 1) / replacement.pattern.count)
                guard growth <= Normalizer.maximalInsertion else {
                    throw error(
                        "the normalizer's replacements make a text more than "
                            + "\(Normalizer.maximalInsertion) times as long")
                }
                normalizer.steps.append(.replace(pattern: replacement.pattern, content: replacement.content))
            case let type:
                throw error("the normalizer \(quoted(type)) is not known; Crumb reads NFC, Prepend, Replace, Sequence")
            }
        }
        return normalizer
    }

    /// A `Replace` of a plain text.
    private func replacement(_ part: JSONObject, _ name: String) throws(TokenizerError) -> DecoderKind.Replacement {
        let (pattern, isRegex) = try literal(part, name)
        guard !isRegex, !pattern.isEmpty else {
            throw error("the \(name) replaces \(quoted(pattern)); only a plain text that is not empty can be replaced")
        }
        let content = Array(try text(part, "content", name).utf8)
        guard content.count <= Normalizer.maximalInsertion, pattern.utf8.count <= AddedToken.maximalLength else {
            throw error(
                "the \(name) replaces \(pattern.utf8.count) bytes by \(content.count), above the limits of "
                    + "\(AddedToken.maximalLength) and \(Normalizer.maximalInsertion)")
        }
        return DecoderKind.Replacement(pattern: Array(pattern.utf8), content: content)
    }

    /// Reads the pre-tokenizer: ByteLevel, Digits, Metaspace, Split with a known pattern, and sequences of them.
    ///
    /// - Parameter isNormalized: whether there is a normalizer. Where a text starts is then no longer plain to see, so
    ///   that a mark before the start only is refused.
    func preTokenizer(_ value: JSONValue?, isNormalized: Bool) throws(TokenizerError) -> PreTokenizer {
        let name = "pre-tokenizer"
        var result = PreTokenizer()
        for part in try steps(value, name, "pretokenizers") {
            guard !result.isByteLevel else {
                throw error("the pre-tokenizer ByteLevel must be the last step")
            }
            switch try type(part, name) {
            case "ByteLevel":
                if try flag(part, "add_prefix_space", name) { result.steps.append(.prefixSpace) }
                if try flag(part, "use_regex", name, default: true) { result.steps.append(.words(.gpt2)) }
                result.isByteLevel = true
            case "Digits":
                result.steps.append(.digits(individual: try flag(part, "individual_digits", name)))
            case "Metaspace":
                let (mark, scheme) = try metaspaceMark(part, name)
                guard scheme != .first || (result.steps.isEmpty && !isNormalized) else {
                    throw error(
                        "the pre-tokenizer Metaspace with \"prepend_scheme\" \"first\" must be the first step and have "
                            + "no normalizer before it")
                }
                let splits = try flag(part, "split", name, default: true)
                result.steps.append(.metaspace(mark: mark, scheme: scheme, splits: splits))
            case "Split":
                result.steps.append(.words(try split(part, name)))
            case let type:
                throw error(
                    "the pre-tokenizer \(quoted(type)) is not known; Crumb reads ByteLevel, Digits, Metaspace, "
                        + "Sequence, Split")
            }
        }
        return result
    }

    private func split(_ part: JSONObject, _ name: String) throws(TokenizerError) -> SplitPattern {
        let (pattern, isRegex) = try literal(part, name)
        guard isRegex, let known = SplitPattern(text: pattern) else {
            throw error(
                "the pre-tokenizer splits at \(quoted(pattern)), which is none of the patterns of GPT-2, Llama 3 and "
                    + "Qwen2")
        }
        // The known patterns match everything, so what lies between matches is empty: isolating the matches, and
        // removing what lies between them, come to the same.
        let behavior = try text(part, "behavior", name)
        let isInverted = try flag(part, "invert", name, default: false)
        guard behavior.lowercased() == "isolated" || (behavior.lowercased() == "removed" && isInverted) else {
            throw error(
                "the pre-tokenizer splits with the behavior \(quoted(behavior)); Crumb reads \"Isolated\", and "
                    + "\"Removed\" with \"invert\"")
        }
        return known
    }

    /// The fields that the pre-tokenizer and the decoder `Metaspace` share.
    private func metaspaceMark(
        _ part: JSONObject, _ name: String
    ) throws(TokenizerError) -> ([UInt8], PrependScheme) {
        let mark = try text(part, "replacement", name)
        guard mark.unicodeScalars.count == 1 else {
            throw error("\"replacement\" of the \(name) must be one character, not \(quoted(mark))")
        }
        var scheme = PrependScheme.always
        if let value = part["prepend_scheme"], !value.isNull {
            guard let known = value.string.flatMap(PrependScheme.init(rawValue:)) else {
                throw error("\"prepend_scheme\" of the \(name) must be \"always\", \"first\" or \"never\"")
            }
            scheme = known
        }
        // The older spelling of the same.
        if try !flag(part, "add_prefix_space", name, default: true) { scheme = .never }
        return (Array(mark.utf8), scheme)
    }

    /// Reads the decoder: ByteLevel, Metaspace, or any of Replace, ByteFallback, Fuse, Strip in this order.
    func decoder(_ value: JSONValue?) throws(TokenizerError) -> DecoderKind {
        let name = "decoder"
        let parts = try steps(value, name, "decoders")
        if parts.isEmpty { return .joined }
        var replacements: [DecoderKind.Replacement] = []
        var strip: DecoderKind.Strip?
        var seen: [String] = []
        for part in parts {
            let type = try type(part, name)
            switch type {
            case "ByteLevel" where parts.count == 1:
                return .byteLevel
            case "Metaspace" where parts.count == 1:
                let (mark, scheme) = try metaspaceMark(part, name)
                return .metaspace(mark: mark, dropsFirst: scheme != .never)
            case "Replace" where seen.allSatisfy({ $0 == "Replace" }):
                replacements.append(try replacement(part, name))
            case "ByteFallback" where !seen.contains { $0 != "Replace" }:
                break
            case "Fuse" where !seen.contains("Strip"):
                break
            case "Strip" where seen.last == "Fuse":
                strip = try self.strip(part, name)
            default:
                throw error(
                    "the decoder \(quoted(type)) is not known at this place; Crumb reads ByteLevel, Metaspace, or Replace, "
                        + "ByteFallback, Fuse, Strip in this order")
            }
            seen.append(type)
        }
        return .pieces(replacements: replacements, byteFallback: seen.contains("ByteFallback"), strip: strip)
    }

    private func strip(_ part: JSONObject, _ name: String) throws(TokenizerError) -> DecoderKind.Strip {
        let content = try text(part, "content", name)
        guard content.unicodeScalars.count == 1, let start = part["start"]?.int, (0...1024).contains(start),
            part["stop"]?.int == 0
        else {
            throw error(
                "the decoder Strip must take one character off the start at most 1024 times, and nothing off the end")
        }
        return DecoderKind.Strip(content: Array(content.utf8), count: start)
    }

    /// Reads the post-processor: ByteLevel (which moves no ids), TemplateProcessing, and sequences of them.
    ///
    /// - Returns: the ids before and behind a text.
    func postProcessor(
        _ value: JSONValue?, _ vocabulary: ReadVocabulary
    ) throws(TokenizerError) -> (prefix: [Int32], suffix: [Int32]) {
        let name = "post-processor"
        var result: (prefix: [Int32], suffix: [Int32])?
        for part in try steps(value, name, "processors") {
            switch try type(part, name) {
            case "ByteLevel": break
            case "TemplateProcessing":
                guard result == nil else { throw error("the post-processor has more than one TemplateProcessing") }
                result = try template(part, name, vocabulary)
            case let type:
                throw error(
                    "the post-processor \(quoted(type)) is not known; Crumb reads ByteLevel, TemplateProcessing, "
                        + "Sequence")
            }
        }
        return result ?? ([], [])
    }

    private func template(
        _ part: JSONObject, _ name: String, _ vocabulary: ReadVocabulary
    ) throws(TokenizerError) -> (prefix: [Int32], suffix: [Int32]) {
        guard let pieces = part["single"]?.array, pieces.count <= 64 else {
            throw error("\"single\" of the post-processor must be a list of at most 64 pieces")
        }
        var ids: [Int32] = []
        var prefix: [Int32]?
        for piece in pieces {
            if let sequence = piece["Sequence"] {
                guard prefix == nil, sequence["id"]?.string == "A" else {
                    throw error("\"single\" of the post-processor must name the text A once")
                }
                prefix = ids
                ids = []
                continue
            }
            guard let token = piece["SpecialToken"]?["id"]?.string,
                let list = part["special_tokens"]?[token]?["ids"]?.array, list.count <= 64
            else {
                throw error("\"single\" of the post-processor names a token that is not among its \"special_tokens\"")
            }
            for value in list {
                guard let id = value.int, id >= 0, id < vocabulary.texts.count else {
                    throw error("the post-processor puts in token \(quoted(token)), whose id is not in the vocabulary")
                }
                ids.append(Int32(id))
            }
        }
        guard let prefix else { throw error("\"single\" of the post-processor must name the text A once") }
        return (prefix, ids)
    }
}
