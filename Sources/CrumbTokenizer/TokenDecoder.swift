// From ids to text: what each token stands for, worked out once when the tokenizer is read. The steps of the
// `decoder` of tokenizer.json that look at one token are applied here, those that look at neighbours in
// StreamingDecoder.

/// What the `decoder` of tokenizer.json asks for.
enum DecoderKind: Sendable {
    /// No decoder: tokens as they are, a space between two of them.
    case joined
    /// `ByteLevel`: tokens in the byte alphabet, the bytes repaired to UTF-8.
    case byteLevel
    /// `Metaspace`: marks become spaces; those of the first token vanish where `dropsFirst` holds.
    case metaspace(mark: [UInt8], dropsFirst: Bool)
    /// `Replace` on each token, then `ByteFallback`, then up to `count` times `content` off the start of the text.
    case pieces(replacements: [Replacement], byteFallback: Bool, strip: Strip?)

    /// A pattern and what takes its place.
    struct Replacement: Sendable {
        let pattern: [UInt8]
        let content: [UInt8]
    }

    /// A character and how many of it to take off the start.
    struct Strip: Sendable {
        let content: [UInt8]
        let count: Int
    }
}

/// What each id adds to a text.
struct TokenDecoder: Sendable {
    let kind: DecoderKind
    /// The text of each token as it stands in the vocabulary.
    let tokens: TokenTexts
    /// The text of each token after the steps that look at one token only.
    let texts: TokenTexts
    /// The byte that a token such as "<0x0A>" stands for, -1 for all others; empty without byte fallback.
    let byteValues: [Int16]
    /// Ids that `skipSpecialTokens` leaves out.
    let isSpecial: [Bool]

    /// - Parameter tokens: the text of each id as it stands in the vocabulary.
    init(kind: DecoderKind, tokens: TokenTexts, isSpecial: [Bool]) {
        self.kind = kind
        self.tokens = tokens
        self.isSpecial = isSpecial
        var texts = TokenTexts(count: tokens.count)
        var byteValues: [Int16] = []
        if case .pieces(_, true, _) = kind { byteValues = [Int16](repeating: -1, count: tokens.count) }
        let storage = tokens.storage
        for id in 0..<Int32(tokens.count) {
            guard let range = tokens.range(id) else { continue }
            let token = storage.span.extracting(range)
            switch kind {
            case .joined:
                texts.set(id, token)
            case .byteLevel:
                if let bytes = ByteAlphabet.decode(token) {
                    texts.set(id, bytes.span)
                } else {
                    texts.set(id, token)
                }
            case .metaspace(let mark, _):
                if let text = replace(token, mark, [UInt8(ascii: " ")]) {
                    texts.set(id, text.span)
                } else {
                    texts.set(id, token)
                }
            case .pieces(let replacements, let byteFallback, _):
                var text = Array(storage[range])
                for step in replacements { text = replace(text.span, step.pattern, step.content) ?? text }
                if byteFallback, let byte = Self.byteValue(text) { byteValues[Int(id)] = Int16(byte) }
                texts.set(id, text.span)
            }
        }
        self.texts = texts
        self.byteValues = byteValues
    }

    /// The byte of a token like "<0x0A>".
    static func byteValue(_ token: [UInt8]) -> UInt8? {
        guard token.count == 6, Array(token[..<3]) == Array("<0x".utf8), token[5] == UInt8(ascii: ">") else {
            return nil
        }
        return hexadecimal(token[3]).flatMap { high in hexadecimal(token[4]).map { high << 4 | $0 } }
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
