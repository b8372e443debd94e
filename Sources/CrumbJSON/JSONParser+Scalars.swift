// Strings and numbers.

extension JSONParser {
    /// Reads a string whose opening quote stands at `offset`.
    mutating func string() throws(JSONError) -> String {
        let start = offset + 1
        var end = start
        while end < bytes.count {
            let byte = bytes[end]
            if byte == UInt8(ascii: "\"") {
                advance(to: end + 1)
                return try checked(bytes[start..<end], at: start)
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(start: start, firstEscape: end) }
            if byte < 0x20 { throw controlCharacter(byte, at: end) }
            end += 1
        }
        throw error("a string is not closed before the end of the text", at: start - 1)
    }

    private mutating func escapedString(start: Int, firstEscape: Int) throws(JSONError) -> String {
        var text = [UInt8](bytes[start..<firstEscape])
        var position = firstEscape
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                advance(to: position + 1)
                return try checked(text[...], at: start)
            case UInt8(ascii: "\\"):
                position = try escape(at: position, into: &text)
            case 0..<0x20:
                throw controlCharacter(byte, at: position)
            default:
                text.append(byte)
                position += 1
            }
        }
        throw error("a string is not closed before the end of the text", at: start - 1)
    }

    /// Decodes the escape at `position`, a backslash.
    ///
    /// - Returns: the position after it.
    private func escape(at position: Int, into text: inout [UInt8]) throws(JSONError) -> Int {
        guard position + 1 < bytes.count else { throw error("an escape is cut off", at: position) }
        switch bytes[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(bytes[position + 1])
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): return try unicodeEscape(at: position, into: &text)
        default: throw error("unknown escape in a string", at: position)
        }
        return position + 2
    }

    private func unicodeEscape(at position: Int, into text: inout [UInt8]) throws(JSONError) -> Int {
        var value = try codeUnit(at: position)
        var end = position + 6
        if (0xD800..<0xDC00).contains(value) {
            guard end + 1 < bytes.count, bytes[end] == UInt8(ascii: "\\"), bytes[end + 1] == UInt8(ascii: "u") else {
                throw error("a high surrogate stands without its low one", at: position)
            }
            let low = try codeUnit(at: end)
            guard (0xDC00..<0xE000).contains(low) else {
                throw error("a high surrogate stands without its low one", at: position)
            }
            value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
            end += 6
        }
        guard let scalar = UnicodeScalar(value) else {
            throw error("a low surrogate stands without its high one", at: position)
        }
        text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        return end
    }

    private func codeUnit(at position: Int) throws(JSONError) -> UInt32 {
        guard position + 6 <= bytes.count else { throw error("a \\u escape is cut off", at: position) }
        var value: UInt32 = 0
        for byte in bytes[(position + 2)..<(position + 6)] {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            default: throw error("a \\u escape needs four hexadecimal digits", at: position)
            }
        }
        return value
    }

    private func checked(_ slice: ArraySlice<UInt8>, at start: Int) throws(JSONError) -> String {
        guard slice.count <= limits.maxStringBytes else {
            throw error("a string of \(slice.count) bytes, above the limit of \(limits.maxStringBytes)", at: start)
        }
        guard let text = String(validating: slice, as: UTF8.self) else {
            throw error("a string is not valid UTF-8", at: start)
        }
        return text
    }

    private func controlCharacter(_ byte: UInt8, at position: Int) -> JSONError {
        error("the control character 0x\(String(byte, radix: 16)) must be escaped in a string", at: position)
    }

    /// Reads a number that starts at `offset`.
    mutating func number() throws(JSONError) -> JSONNumber {
        let start = offset
        var end = start
        let negative = bytes[end] == UInt8(ascii: "-")
        if negative { end += 1 }
        let firstDigit = end
        end = digits(from: end)
        guard end > firstDigit else { throw error("a number has no digits", at: start) }
        if bytes[firstDigit] == UInt8(ascii: "0") && end > firstDigit + 1 {
            throw error("a number starts with a needless zero", at: start)
        }
        var isInteger = true
        if end < bytes.count, bytes[end] == UInt8(ascii: ".") {
            isInteger = false
            let fraction = end + 1
            end = digits(from: fraction)
            guard end > fraction else { throw error("a number has no digits after its point", at: start) }
        }
        if end < bytes.count, bytes[end] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            var exponent = end + 1
            if exponent < bytes.count, bytes[exponent] == UInt8(ascii: "+") || bytes[exponent] == UInt8(ascii: "-") {
                exponent += 1
            }
            end = digits(from: exponent)
            guard end > exponent else { throw error("a number has no digits in its exponent", at: start) }
        }
        guard end - start <= Self.longestNumber else {
            throw error("a number of \(end - start) characters, above the limit of \(Self.longestNumber)", at: start)
        }
        advance(to: end)
        if isInteger, let value = integer(in: firstDigit..<end, negative: negative) { return .integer(value) }
        guard let value = Double(String(decoding: bytes[start..<end], as: UTF8.self)), value.isFinite else {
            throw error("a number is too large for a double", at: start)
        }
        return .double(value)
    }

    private func digits(from start: Int) -> Int {
        var end = start
        while end < bytes.count, bytes[end] >= UInt8(ascii: "0"), bytes[end] <= UInt8(ascii: "9") { end += 1 }
        return end
    }

    private func integer(in range: Range<Int>, negative: Bool) -> Int64? {
        var value: Int64 = 0
        for byte in bytes[range] {
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let digit = Int64(byte - UInt8(ascii: "0"))
            // Counted downwards for negative numbers, which reach one further.
            let (next, overflow2) =
                negative ? shifted.subtractingReportingOverflow(digit) : shifted.addingReportingOverflow(digit)
            if overflow || overflow2 { return nil }
            value = next
        }
        return value
    }

    /// Python writes at most 25 characters for a double; long decimal expansions are seen in hand-made files.
    private static let longestNumber = 1024
}
