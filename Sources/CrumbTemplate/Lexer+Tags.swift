extension Lexer {
    /// Reads the inside of a tag up to and with its closing sign. A tag cut off by the end of the source is left
    /// to the parser to complain about.
    mutating func readTag(isVariable: Bool) throws(TemplateError) {
        var closers: [Symbol] = []
        while position < source.count {
            if closers.isEmpty, let end = endOfTag(isVariable: isVariable) {
                tokens.append(Token(kind: isVariable ? .variableEnd : .blockEnd, line: line))
                return advance(to: end)
            }
            let (scalar, _) = Text.decode(source, at: position)
            if scalar.isPythonSpace {
                advance(to: skipWhitespace(from: position))
            } else if source[position].isDigit {
                try readNumber()
            } else if scalar.isNameStart {
                readName()
            } else if scalar == "'" || scalar == "\"" {
                try readString()
            } else {
                try readSymbol(&closers)
            }
        }
    }

    private func endOfTag(isVariable: Bool) -> Int? {
        guard isVariable else { return endOfClosing("%}", "-%}", "+%}", at: position) }
        if matches("-}}", at: position) { return skipWhitespace(from: position + 3) }
        return matches("}}", at: position) ? position + 2 : nil
    }

    private mutating func readName() {
        var end = position
        while end < source.count {
            let (scalar, length) = Text.decode(source, at: end)
            guard scalar.isNameContinue else { break }
            end += length
        }
        tokens.append(Token(kind: .name(Text(Array(source[position..<end]))), line: line))
        advance(to: end)
    }

    private mutating func readSymbol(_ closers: inout [Symbol]) throws(TemplateError) {
        let two = position + 1 < source.count ? String(decoding: source[position...position + 1], as: UTF8.self) : ""
        let one = String(decoding: source[position...position], as: UTF8.self)
        guard let symbol = Symbol(rawValue: two) ?? Symbol(rawValue: one) else {
            let (scalar, _) = Text.decode(source, at: position)
            throw fail("the character '\(scalar)' has no meaning inside a tag")
        }
        switch symbol {
        case .leftBrace: closers.append(.rightBrace)
        case .leftBracket: closers.append(.rightBracket)
        case .leftParenthesis: closers.append(.rightParenthesis)
        case .rightBrace, .rightBracket, .rightParenthesis:
            guard let expected = closers.popLast() else { throw fail("'\(symbol.rawValue)' closes nothing") }
            guard expected == symbol else {
                throw fail("'\(symbol.rawValue)' stands where '\(expected.rawValue)' is expected")
            }
        default: break
        }
        tokens.append(Token(kind: .symbol(symbol), line: line))
        advance(to: position + symbol.rawValue.utf8.count)
    }

    // MARK: Numbers

    private mutating func readNumber() throws(TemplateError) {
        // A number behind a dot is an index (`item.0.1`), never the start of a fraction.
        let afterDot = position > 0 && source[position - 1] == UInt8(ascii: ".")
        if !afterDot, let end = endOfFloat() {
            guard let value = Double(digits(upTo: end)) else { throw fail("'\(digits(upTo: end))' is not a number") }
            tokens.append(Token(kind: .float(value), line: line))
            return advance(to: end)
        }
        let (end, radix) = endOfInteger()
        let text = digits(upTo: end)
        guard let value = Int(radix == 10 ? text : String(text.dropFirst(2)), radix: radix) else {
            throw fail("the integer \(text.prefix(40)) does not fit 64 bits")
        }
        tokens.append(Token(kind: .integer(value), line: line))
        advance(to: end)
    }

    private func digits(upTo end: Int) -> String {
        String(decoding: source[position..<end].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
    }

    /// The end of a run of digits with single underscores between them, or nil if there is no digit.
    private func endOfDigits(from start: Int, _ isDigit: (UInt8) -> Bool) -> Int? {
        guard start < source.count, isDigit(source[start]) else { return nil }
        var end = start + 1
        while end < source.count {
            if isDigit(source[end]) {
                end += 1
            } else if source[end] == UInt8(ascii: "_"), end + 1 < source.count, isDigit(source[end + 1]) {
                end += 2
            } else {
                break
            }
        }
        return end
    }

    private func endOfFloat() -> Int? {
        guard var end = endOfDigits(from: position, \.isDigit) else { return nil }
        var isFloat = false
        if end < source.count, source[end] == UInt8(ascii: "."),
            let fraction = endOfDigits(from: end + 1, \.isDigit)
        {
            end = fraction
            isFloat = true
        }
        if end < source.count, source[end] | 0x20 == UInt8(ascii: "e") {
            var exponent = end + 1
            if exponent < source.count,
                source[exponent] == UInt8(ascii: "+") || source[exponent] == UInt8(ascii: "-")
            {
                exponent += 1
            }
            if let exponentEnd = endOfDigits(from: exponent, \.isDigit) {
                end = exponentEnd
                isFloat = true
            }
        }
        return isFloat ? end : nil
    }

    private func endOfInteger() -> (end: Int, radix: Int) {
        if source[position] == UInt8(ascii: "0") {
            if position + 1 < source.count {
                let (radix, isDigit): (Int, (UInt8) -> Bool) =
                    switch source[position + 1] | 0x20 {
                    case UInt8(ascii: "b"): (2, { $0 == 0x30 || $0 == 0x31 })
                    case UInt8(ascii: "o"): (8, { (0x30...0x37).contains($0) })
                    case UInt8(ascii: "x"): (16, \.isHexDigit)
                    default: (10, { _ in false })
                    }
                let first = position + 2
                let underscore = first < source.count && source[first] == UInt8(ascii: "_")
                if radix != 10, let end = endOfDigits(from: underscore ? first + 1 : first, isDigit) {
                    return (end, radix)
                }
            }
            return (endOfDigits(from: position, { $0 == 0x30 }) ?? position + 1, 10)
        }
        return (endOfDigits(from: position, \.isDigit) ?? position + 1, 10)
    }

    // MARK: Strings

    private mutating func readString() throws(TemplateError) {
        let quote = source[position]
        var end = position + 1
        while end < source.count, source[end] != quote { end += source[end] == UInt8(ascii: "\\") ? 2 : 1 }
        guard end < source.count else { throw fail("the string that begins here is never closed") }
        let text: Text
        do {
            text = try StringLiteral.unescaped(source[(position + 1)..<end])
        } catch {
            throw fail(error.message)
        }
        tokens.append(Token(kind: .string(text), line: line))
        advance(to: end + 1)
    }
}

extension UInt8 {
    var isDigit: Bool { self >= 0x30 && self <= 0x39 }

    var isHexDigit: Bool { isDigit || (self | 0x20 >= 0x61 && self | 0x20 <= 0x66) }
}
