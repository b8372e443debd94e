/// The escapes of a string literal, as Python's `unicode-escape` reads them.
enum StringLiteral {
    struct EscapeError: Error {
        let message: String
    }

    /// The text of a literal, given what stands between its quotes.
    /// - Throws: `EscapeError` for cut-off escapes, character names and code points that are no characters.
    static func unescaped(_ source: ArraySlice<UInt8>) throws(EscapeError) -> Text {
        guard source.contains(UInt8(ascii: "\\")) else { return Text(Array(source)) }
        var result: [UInt8] = []
        result.reserveCapacity(source.count)
        var index = source.startIndex
        while index < source.endIndex {
            guard source[index] == UInt8(ascii: "\\"), index + 1 < source.endIndex else {
                result.append(source[index])
                index += 1
                continue
            }
            let escape = source[index + 1]
            index += 2
            switch escape {
            case UInt8(ascii: "\n"): break
            case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): result.append(escape)
            case UInt8(ascii: "a"): result.append(7)
            case UInt8(ascii: "b"): result.append(8)
            case UInt8(ascii: "t"): result.append(9)
            case UInt8(ascii: "n"): result.append(10)
            case UInt8(ascii: "v"): result.append(11)
            case UInt8(ascii: "f"): result.append(12)
            case UInt8(ascii: "r"): result.append(13)
            case UInt8(ascii: "x"): try append(code(source, &index, digits: 2, "\\x"), to: &result)
            case UInt8(ascii: "u"): try append(code(source, &index, digits: 4, "\\u"), to: &result)
            case UInt8(ascii: "U"): try append(code(source, &index, digits: 8, "\\U"), to: &result)
            case UInt8(ascii: "N"):
                throw EscapeError(message: "a string names a character with '\\N', use '\\u' instead")
            case 0x30...0x37:
                var value = UInt32(escape - 0x30)
                var count = 1
                while count < 3, index < source.endIndex, (0x30...0x37).contains(source[index]) {
                    value = value * 8 + UInt32(source[index] - 0x30)
                    index += 1
                    count += 1
                }
                try append(value, to: &result)
            case 0x80...:
                // Python first writes what is beyond ASCII as an escape of its own; a backslash before it then
                // quotes that escape's backslash.
                let (scalar, length) = Text.decode(source, at: index - 1)
                index += length - 1
                let hex = String(scalar.value, radix: 16)
                let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
                result += "\\\(letter)\(String(repeating: "0", count: width - hex.utf8.count))\(hex)".utf8
            default: result += [UInt8(ascii: "\\"), escape]
            }
        }
        return Text(result)
    }

    private static func code(
        _ source: ArraySlice<UInt8>, _ index: inout Int, digits: Int, _ name: String
    ) throws(EscapeError) -> UInt32 {
        guard source.endIndex - index >= digits else {
            throw EscapeError(message: "a string ends inside the escape '\(name)', which needs \(digits) hex digits")
        }
        let text = source[index..<(index + digits)]
        guard text.allSatisfy(\.isHexDigit), let value = UInt32(String(decoding: text, as: UTF8.self), radix: 16) else {
            throw EscapeError(message: "the escape '\(name)' in a string needs \(digits) hex digits")
        }
        index += digits
        return value
    }

    private static func append(_ value: UInt32, to result: inout [UInt8]) throws(EscapeError) {
        guard let scalar = Unicode.Scalar(value) else {
            throw EscapeError(message: "a string holds the code point \(value), which is no character")
        }
        result += UTF8.encode(scalar).map(Array.init) ?? []
    }
}
