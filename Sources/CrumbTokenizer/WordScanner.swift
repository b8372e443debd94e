// The scanners behind SplitPattern. Each looks at one position of the text and says where the match that the regular
// expression would find there ends. The alternatives are tried in the order of the expression.

/// Cuts a text into the matches of one pattern.
struct WordScanner {
    let pattern: SplitPattern
    private let classes = UnicodeClasses.shared

    private static let space = UInt8(ascii: " ")
    private static let quote = UInt8(ascii: "'")

    init(_ pattern: SplitPattern) { self.pattern = pattern }

    /// The end of the match that starts at `start`; above `start`, at most `end`.
    ///
    /// The text is looked at up to `end` only, as if nothing followed.
    func matchEnd(_ text: Span<UInt8>, from start: Int, to end: Int) -> Int {
        switch pattern {
        case .gpt2: gpt2(text, start, end)
        case .llama3: modern(text, start, end, digitsTogether: 3)
        case .qwen2: modern(text, start, end, digitsTogether: 1)
        }
    }

    private func gpt2(_ text: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
        if text[start] == Self.quote, let match = contraction(text, start, end, anyCase: false) { return match }
        // ` ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+`: the space belongs to the run that follows it.
        let first = text[start] == Self.space && start + 1 < end ? start + 1 : start
        let kind = classes[scalar(text, at: first)].intersection(.regex)
        if kind != .space { return runEnd(text, first, end, kind) }
        return spaces(text, start, end)
    }

    private func modern(_ text: Span<UInt8>, _ start: Int, _ end: Int, digitsTogether: Int) -> Int {
        if text[start] == Self.quote, let match = contraction(text, start, end, anyCase: true) { return match }
        let lead = text[start]
        let kind = classes[scalar(text, at: start)].intersection(.regex)
        // `[^\r\n\p{L}\p{N}]?\p{L}+`
        if kind == .letter { return runEnd(text, start, end, .letter) }
        let second = start + scalarLength(lead)
        if kind != .number, lead != 0x0A, lead != 0x0D, second < end,
            classes[scalar(text, at: second)].contains(.letter)
        {
            return runEnd(text, second, end, .letter)
        }
        // `\p{N}{1,3}` or `\p{N}`
        if kind == .number {
            var position = second
            var count = 1
            while count < digitsTogether, position < end, classes[scalar(text, at: position)].contains(.number) {
                position += scalarLength(text[position])
                count += 1
            }
            return position
        }
        // ` ?[^\s\p{L}\p{N}]+[\r\n]*`
        let symbols = lead == Self.space && second < end ? second : start
        if classes[scalar(text, at: symbols)].isDisjoint(with: .regex) {
            var position = runEnd(text, symbols, end, [])
            while position < end, text[position] == 0x0A || text[position] == 0x0D { position += 1 }
            return position
        }
        // `\s*[\r\n]+`: up to the last line end of the run of white space.
        let run = runEnd(text, start, end, .space)
        var position = run
        while position > start {
            if text[position - 1] == 0x0A || text[position - 1] == 0x0D { return position }
            position -= 1
        }
        return spaces(text, start, end, run: run)
    }

    /// `\s+(?!\S)|\s+`: a run of white space, less its last character where something follows and something is left.
    private func spaces(_ text: Span<UInt8>, _ start: Int, _ end: Int, run: Int? = nil) -> Int {
        let run = run ?? runEnd(text, start, end, .space)
        if run == end { return run }
        let last = scalarStart(text, before: run)
        return last > start ? last : run
    }

    /// The end of the run of characters whose regex class is exactly `kind`.
    private func runEnd(_ text: Span<UInt8>, _ start: Int, _ end: Int, _ kind: UnicodeClass) -> Int {
        var position = start
        while position < end, classes[scalar(text, at: position)].intersection(.regex) == kind {
            position += scalarLength(text[position])
        }
        return position
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d` behind the apostrophe at `start`.
    ///
    /// Without regard to case the long s (U+017F, 0xC5 0xBF) is an s too; no other folding reaches these letters.
    private func contraction(_ text: Span<UInt8>, _ start: Int, _ end: Int, anyCase: Bool) -> Int? {
        guard start + 1 < end else { return nil }
        let fold: UInt8 = anyCase ? 0x20 : 0
        let first = text[start + 1] | (text[start + 1] < 0x80 ? fold : 0)
        switch first {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
        case 0xC5 where anyCase && start + 2 < end && text[start + 2] == 0xBF: return start + 3
        default: break
        }
        guard start + 2 < end, text[start + 2] < 0x80 else { return nil }
        switch (first, text[start + 2] | fold) {
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 3
        default: return nil
        }
    }
}

extension UnicodeClass {
    /// The classes that the patterns tell apart; at most one of them holds for a character.
    fileprivate static let regex: UnicodeClass = [.letter, .number, .space]
}
