/// Cuts a template into tokens: text, tags, and what is inside the tags.
///
/// Whitespace control follows jinja2 with `trim_blocks` and `lstrip_blocks`: the newline after a block or
/// comment is dropped, and so is the indentation before one; `-` drops all whitespace on its side, `+` keeps it.
/// A trailing newline of the source is dropped; `\r\n` and `\r` count as `\n`.
struct Lexer {
    let source: [UInt8]
    var position = 0
    var line = 1
    var tokens: [Token] = []

    /// All tokens of `source`, closed by one `.end`.
    /// - Throws: `TemplateError` for a source beyond the limit and for malformed tags.
    static func tokens(of source: String, limits: TemplateLimits) throws(TemplateError) -> [Token] {
        guard source.utf8.count <= limits.sourceBytes else {
            throw TemplateError(
                kind: .limit, line: 1,
                message: "the template has \(source.utf8.count) bytes, more than the \(limits.sourceBytes) allowed")
        }
        var lexer = Lexer(source: normalizedNewlines(Array(source.utf8)))
        try lexer.readText()
        lexer.tokens.append(Token(kind: .end, line: lexer.line))
        return lexer.tokens
    }

    private init(source: [UInt8]) {
        self.source = source
    }

    private static func normalizedNewlines(_ source: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.count)
        var index = 0
        while index < source.count {
            if source[index] == UInt8(ascii: "\r") {
                bytes.append(UInt8(ascii: "\n"))
                if index + 1 < source.count, source[index + 1] == UInt8(ascii: "\n") { index += 1 }
            } else {
                bytes.append(source[index])
            }
            index += 1
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        return bytes
    }

    func fail(_ message: String) -> TemplateError {
        TemplateError(kind: .syntax, line: line, message: message)
    }

    /// True if `bytes` lie at `index` of the source.
    func matches(_ bytes: StaticString, at index: Int) -> Bool {
        let count = bytes.utf8CodeUnitCount
        guard index + count <= source.count else { return false }
        for offset in 0..<count where unsafe source[index + offset] != bytes.utf8Start[offset] { return false }
        return true
    }

    /// The first index at or after `index` that holds no whitespace.
    func skipWhitespace(from index: Int) -> Int {
        var index = index
        while index < source.count {
            let (scalar, length) = Text.decode(source, at: index)
            guard scalar.isPythonSpace else { break }
            index += length
        }
        return index
    }

    mutating func advance(to end: Int) {
        for index in position..<end where source[index] == UInt8(ascii: "\n") { line += 1 }
        position = end
    }

    // MARK: Text between tags

    private enum Directive { case variable, block, comment, raw }

    private mutating func readText() throws(TemplateError) {
        while position < source.count {
            let start = position
            guard let begin = nextDirective(from: start) else {
                tokens.append(Token(kind: .data(Text(Array(source[start...]))), line: line))
                return advance(to: source.count)
            }
            var directive: Directive =
                switch source[begin + 1] {
                case UInt8(ascii: "{"): .variable
                case UInt8(ascii: "%"): .block
                default: .comment
                }
            var end = begin + 2
            let sign = self.sign(at: end)
            if sign != nil { end += 1 }
            if directive == .block, let rawEnd = endOfRawBegin(from: end) {
                directive = .raw
                end = rawEnd
            }
            emitText(from: start, to: begin, sign: sign, isVariable: directive == .variable)
            let directiveLine = line
            advance(to: end)
            switch directive {
            case .variable:
                tokens.append(Token(kind: .variableBegin, line: directiveLine))
                try readTag(isVariable: true)
            case .block:
                tokens.append(Token(kind: .blockBegin, line: directiveLine))
                try readTag(isVariable: false)
            case .comment: try skipComment()
            case .raw: try readRaw()
            }
        }
    }

    private func nextDirective(from start: Int) -> Int? {
        var index = start
        while index + 1 < source.count {
            if source[index] == UInt8(ascii: "{") {
                switch source[index + 1] {
                case UInt8(ascii: "{"), UInt8(ascii: "%"), UInt8(ascii: "#"): return index
                default: break
                }
            }
            index += 1
        }
        return nil
    }

    private func sign(at index: Int) -> UInt8? {
        guard index < source.count else { return nil }
        return source[index] == UInt8(ascii: "-") || source[index] == UInt8(ascii: "+") ? source[index] : nil
    }

    /// The end of `raw %}` if that is what stands at `index`, behind `{%` and its sign.
    private func endOfRawBegin(from index: Int) -> Int? {
        let word = skipWhitespace(from: index)
        guard matches("raw", at: word) else { return nil }
        let close = skipWhitespace(from: word + 3)
        if matches("-%}", at: close) { return skipWhitespace(from: close + 3) }
        return matches("%}", at: close) ? close + 2 : nil
    }

    /// Emits the text before a tag, less what the tag's sign or the tag alone on its line takes away.
    private mutating func emitText(from start: Int, to end: Int, sign: UInt8?, isVariable: Bool) {
        var stop = end
        if sign == UInt8(ascii: "-") {
            stop = start + Text.trimmedEnd(source[start..<end])
        } else if sign == nil, !isVariable {
            let lineStart = source[start..<end].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 }
            let startsLine = start == 0 || source[start - 1] == UInt8(ascii: "\n")
            if let from = lineStart ?? (startsLine ? start : nil), skipWhitespace(from: from) >= end { stop = from }
        }
        if stop > start { tokens.append(Token(kind: .data(Text(Array(source[start..<stop]))), line: line)) }
        advance(to: end)
    }

    /// Index behind `-}`, `+}` or `}` closers of blocks and comments, with the whitespace they take along.
    func endOfClosing(_ plain: StaticString, _ minus: StaticString, _ plus: StaticString, at index: Int) -> Int? {
        if matches(plus, at: index) { return index + 3 }
        if matches(minus, at: index) { return skipWhitespace(from: index + 3) }
        guard matches(plain, at: index) else { return nil }
        return index + 2 < source.count && source[index + 2] == UInt8(ascii: "\n") ? index + 3 : index + 2
    }

    private mutating func skipComment() throws(TemplateError) {
        var index = position
        while index < source.count {
            if let end = endOfClosing("#}", "-#}", "+#}", at: index) { return advance(to: end) }
            index += 1
        }
        // jinja2 lets a comment that opens at the very end of the source pass.
        if position < source.count { throw fail("the comment that begins here is never closed with '#}'") }
    }

    private mutating func readRaw() throws(TemplateError) {
        let start = position
        var index = start
        while index < source.count {
            if matches("{%", at: index) {
                let sign = self.sign(at: index + 2)
                let word = skipWhitespace(from: index + (sign == nil ? 2 : 3))
                if matches("endraw", at: word),
                    let end = endOfClosing("%}", "-%}", "+%}", at: skipWhitespace(from: word + 6))
                {
                    emitText(from: start, to: index, sign: sign, isVariable: false)
                    return advance(to: end)
                }
            }
            index += 1
        }
        if position < source.count { throw fail("the raw block that begins here is never closed with 'endraw'") }
    }
}
