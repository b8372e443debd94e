/// The printable alphabet of byte-level BPE: one character for each byte (GPT-2's encoder).
///
/// Printable Latin-1 characters stand for themselves, the other 68 bytes for U+0100 and up, in order.
enum ByteAlphabet {
    /// The character of each byte.
    static let scalars: [UInt32] = {
        var next: UInt32 = 0x100
        return (UInt32(0)..<256).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
            default:
                next += 1
                return next - 1
            }
        }
    }()

    /// The byte of each character below U+0144, -1 for those outside the alphabet.
    private static let bytes: [Int16] = {
        var bytes = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar)] = Int16(byte) }
        return bytes
    }()

    /// The bytes that a text of this alphabet stands for, nil where a character is not of it.
    static func decode(_ text: Span<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var position = 0
        while position < text.count {
            let value = scalar(text, at: position)
            guard value < 0x144, bytes[Int(value)] >= 0 else { return nil }
            result.append(UInt8(bytes[Int(value)]))
            position += scalarLength(text[position])
        }
        return result
    }
}
