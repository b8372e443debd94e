// Value to bytes.

struct JSONWriter {
    let pretty: Bool
    private(set) var bytes: [UInt8] = []

    init(pretty: Bool) {
        self.pretty = pretty
    }

    mutating func write(_ value: JSONValue, depth: Int) {
        switch value {
        case .null: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .number(.integer(let value)): append(String(value))
        case .number(.double(let value)): append(value.isFinite ? "\(value)" : "null")
        case .string(let text): write(text)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                separate(index: index, depth: depth)
                write(element, depth: depth + 1)
            }
            close(with: UInt8(ascii: "]"), isEmpty: elements.isEmpty, depth: depth)
        case .object(let object):
            bytes.append(UInt8(ascii: "{"))
            for (index, entry) in object.entries.enumerated() {
                separate(index: index, depth: depth)
                write(entry.key)
                bytes.append(UInt8(ascii: ":"))
                if pretty { bytes.append(UInt8(ascii: " ")) }
                write(entry.value, depth: depth + 1)
            }
            close(with: UInt8(ascii: "}"), isEmpty: object.isEmpty, depth: depth)
        }
    }

    private mutating func separate(index: Int, depth: Int) {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        if pretty { newLine(depth + 1) }
    }

    private mutating func close(with bracket: UInt8, isEmpty: Bool, depth: Int) {
        if pretty && !isEmpty { newLine(depth) }
        bytes.append(bracket)
    }

    private mutating func newLine(_ depth: Int) {
        bytes.append(UInt8(ascii: "\n"))
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * depth))
    }

    private mutating func write(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): append("\\\"")
            case UInt8(ascii: "\\"): append("\\\\")
            case 0x08: append("\\b")
            case 0x09: append("\\t")
            case 0x0A: append("\\n")
            case 0x0C: append("\\f")
            case 0x0D: append("\\r")
            case 0x00..<0x20:
                append("\\u00")
                bytes.append(UInt8(ascii: "0") + byte >> 4)
                bytes.append(Self.hexadecimal[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    private static let hexadecimal = [UInt8]("0123456789abcdef".utf8)
}
