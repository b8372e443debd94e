/// Turns ids that arrive one by one into text.
///
/// What it returns, joined, is what `Tokenizer.decode` returns for all ids together; no piece of it holds half a
/// character. Text is held back while it can still change: bytes of an unfinished character, and a run of byte tokens
/// ("<0xE2>") up to the next other token, because the reference judges such a run as a whole.
package struct StreamingDecoder: Sendable {
    private let decoder: TokenDecoder
    private let skipsSpecialTokens: Bool
    private var isFirst = true
    private var repair = UTF8Repair()
    /// The run of byte tokens that is being held back.
    private var run: [UInt8] = []
    /// How many characters may still be taken off the start.
    private var strippable: Int

    init(decoder: TokenDecoder, skipsSpecialTokens: Bool) {
        self.decoder = decoder
        self.skipsSpecialTokens = skipsSpecialTokens
        if case .pieces(_, _, let strip?) = decoder.kind { strippable = strip.count } else { strippable = 0 }
    }

    /// Takes the next id and returns the text that is settled by it, which is often empty. Ids without a token add
    /// nothing.
    package mutating func append(_ id: Int32) -> String {
        var text: [UInt8] = []
        append(id, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Ends the text and returns what was held back; the decoder then starts anew.
    package mutating func finish() -> String {
        var text: [UInt8] = []
        finish(into: &text)
        self = StreamingDecoder(decoder: decoder, skipsSpecialTokens: skipsSpecialTokens)
        return String(decoding: text, as: UTF8.self)
    }

    /// `append` for callers that collect bytes.
    mutating func append(_ id: Int32, to text: inout [UInt8]) {
        guard let range = decoder.texts.range(id) else { return }
        if skipsSpecialTokens, decoder.isSpecial[Int(id)] { return }
        defer { isFirst = false }
        let storage = decoder.texts.storage
        let token = storage.span.extracting(range)
        switch decoder.kind {
        case .joined:
            if !isFirst { text.append(UInt8(ascii: " ")) }
            CrumbTokenizer.append(token, 0..<token.count, to: &text)
        case .byteLevel:
            repair.append(token, to: &text)
        case .metaspace(let mark, let dropsFirst):
            if isFirst, dropsFirst, let raw = decoder.tokens[id] {
                text += replace(raw.span, mark, []) ?? raw
            } else {
                CrumbTokenizer.append(token, 0..<token.count, to: &text)
            }
        case .pieces:
            if !decoder.byteValues.isEmpty, decoder.byteValues[Int(id)] >= 0 {
                run.append(UInt8(truncatingIfNeeded: decoder.byteValues[Int(id)]))
            } else {
                flushRun(to: &text)
                appendStripped(token, to: &text)
            }
        }
    }

    /// `finish` for callers that collect bytes.
    mutating func finish(into text: inout [UInt8]) {
        repair.finish(into: &text)
        flushRun(to: &text)
    }

    /// A run of byte tokens is a text, or one U+FFFD for each of its bytes.
    private mutating func flushRun(to text: inout [UInt8]) {
        if run.isEmpty { return }
        if !UTF8Repair.isValid(run) { run = run.flatMap { _ in [0xEF, 0xBF, 0xBD] as [UInt8] } }
        let bytes = run
        run.removeAll()
        appendStripped(bytes.span, to: &text)
    }

    private mutating func appendStripped(_ part: Span<UInt8>, to text: inout [UInt8]) {
        var start = 0
        if strippable > 0, case .pieces(_, _, let strip?) = decoder.kind {
            while strippable > 0, start < part.count, matches(part, at: start, strip.content) {
                start += strip.content.count
                strippable -= 1
            }
            if start < part.count { strippable = 0 }
        }
        CrumbTokenizer.append(part, start..<part.count, to: &text)
    }
}
