// The vocabulary and merges of a byte pair encoding, and the symbols that a word starts from.

/// A byte pair encoding model as tokenizer.json describes it.
struct BytePairModel: Sendable {
    /// Token text to id. With a byte-level pre-tokenizer the text is written in `ByteAlphabet`.
    let vocabulary: TokenTable
    let merges: MergeTable
    /// Whether words are bytes rather than characters.
    let isByteLevel: Bool
    /// The token for characters that have none; without it they vanish.
    let unknown: Int32?
    /// Whether neighbouring unknown characters give one token.
    let fusesUnknown: Bool
    /// The tokens "<0x00>" to "<0xFF>", -1 where there is none; empty without byte fallback.
    let fallback: [Int32]
    /// Whole words that are tokens by themselves whatever the merges say (`ignore_merges`), by their bytes.
    let wholeWords: TokenTable?
    /// The mark at which a text can be cut without changing its tokens: none of them has anything but the mark before
    /// a mark. Empty where there is no such mark.
    let cutMark: [UInt8]

    /// The token of each byte: of the byte itself with a byte-level pre-tokenizer, else of the ASCII character; -1
    /// where there is none.
    private let byteSymbols: [Int32]

    /// U+2581, which stands for a space in SentencePiece vocabularies.
    static let spaceMark: [UInt8] = [0xE2, 0x96, 0x81]

    init(
        vocabulary: TokenTable, merges: MergeTable, isByteLevel: Bool, unknown: Int32?, fusesUnknown: Bool,
        fallback: [Int32], wholeWords: TokenTable?, marksOnlyLead: Bool
    ) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.isByteLevel = isByteLevel
        self.unknown = unknown
        self.fusesUnknown = fusesUnknown
        self.fallback = fallback
        self.wholeWords = wholeWords
        // A character that vanishes would make neighbours of the symbols on both sides of a cut.
        let nothingVanishes = unknown != nil || (!fallback.isEmpty && fallback.allSatisfy { $0 >= 0 })
        let canCut =
            !isByteLevel && wholeWords == nil && marksOnlyLead && nothingVanishes
            && vocabulary.find(Self.spaceMark.span) != nil
        cutMark = canCut ? Self.spaceMark : []
        byteSymbols = (UInt32(0)..<256).map { byte in
            if !isByteLevel, byte >= 0x80 { return -1 }
            var text: [UInt8] = []
            appendUTF8(isByteLevel ? ByteAlphabet.scalars[Int(byte)] : byte, to: &text)
            return vocabulary.find(text.span) ?? -1
        }
    }

    /// Appends the symbols that a word is merged from, in its order.
    func appendSymbols(of word: Span<UInt8>, to symbols: inout [Int32]) {
        // An unknown character waits for the next known one; byte fallback does not end the wait (as the reference).
        var hasUnknown = false
        var position = 0
        while position < word.count {
            let lead = word[position]
            let length = isByteLevel ? 1 : scalarLength(lead)
            let range = position..<(position + length)
            position += length
            let id = isByteLevel || lead < 0x80 ? byteSymbols[Int(lead)] : vocabulary.find(word, range) ?? -1
            if id >= 0 {
                if hasUnknown, let unknown { symbols.append(unknown) }
                hasUnknown = false
                symbols.append(id)
                continue
            }
            if appendFallback(word, range, to: &symbols) { continue }
            guard let unknown else { continue }
            if hasUnknown, !fusesUnknown { symbols.append(unknown) }
            hasUnknown = true
        }
        if hasUnknown, let unknown { symbols.append(unknown) }
    }

    /// Appends the byte tokens of a character, if all of them exist.
    private func appendFallback(_ word: Span<UInt8>, _ range: Range<Int>, to symbols: inout [Int32]) -> Bool {
        if fallback.isEmpty { return false }
        var bytes: [UInt8] = []
        if isByteLevel {
            // What is looked up is the character of the alphabet, so it is its bytes that stand for it.
            appendUTF8(ByteAlphabet.scalars[Int(word[range.lowerBound])], to: &bytes)
        } else {
            append(word, range, to: &bytes)
        }
        guard bytes.allSatisfy({ fallback[Int($0)] >= 0 }) else { return false }
        for byte in bytes { symbols.append(fallback[Int(byte)]) }
        return true
    }
}
