/// Turns bytes that arrive piece by piece into valid UTF-8.
///
/// What cannot become a character is replaced by U+FFFD, one for each maximal part of a well-formed sequence (Unicode
/// Standard, section 3.9), which is also what the reference does. What may still become one is held back.
struct UTF8Repair {
    /// The start of a character, at most three bytes.
    private var pending: [UInt8] = []
    /// Bytes still missing, and what the next of them may be.
    private var missing = 0
    private var allowed: ClosedRange<UInt8> = 0x80...0xBF

    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    /// Takes bytes and appends what is settled to `text`.
    mutating func append(_ bytes: Span<UInt8>, to text: inout [UInt8]) {
        for index in bytes.indices { append(bytes[index], to: &text) }
    }

    /// Ends the text: a character that stayed incomplete becomes U+FFFD.
    mutating func finish(into text: inout [UInt8]) {
        if missing > 0 { text += Self.replacement }
        pending.removeAll()
        missing = 0
    }

    private mutating func append(_ byte: UInt8, to text: inout [UInt8]) {
        if missing > 0 {
            if allowed.contains(byte) {
                pending.append(byte)
                missing -= 1
                allowed = 0x80...0xBF
                if missing == 0 {
                    text += pending
                    pending.removeAll(keepingCapacity: true)
                }
                return
            }
            finish(into: &text)
        }
        switch byte {
        case ..<0x80:
            text.append(byte)
            return
        case 0xC2...0xDF: (missing, allowed) = (1, 0x80...0xBF)
        case 0xE0: (missing, allowed) = (2, 0xA0...0xBF)
        case 0xED: (missing, allowed) = (2, 0x80...0x9F)
        case 0xE1...0xEF: (missing, allowed) = (2, 0x80...0xBF)
        case 0xF0: (missing, allowed) = (3, 0x90...0xBF)
        case 0xF1...0xF3: (missing, allowed) = (3, 0x80...0xBF)
        case 0xF4: (missing, allowed) = (3, 0x80...0x8F)
        default:
            text += Self.replacement
            return
        }
        pending.append(byte)
    }

    /// Whether the bytes are a valid text as a whole.
    static func isValid(_ bytes: [UInt8]) -> Bool {
        String(validating: bytes, as: UTF8.self) != nil
    }
}
