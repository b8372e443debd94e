// Bytes to value, by recursive descent. The recursion is as deep as the nesting, which is limited; the bytes are an
// array, so every access is checked.

struct JSONParser {
    let bytes: [UInt8]
    let source: String
    let limits: JSONLimits
    private(set) var offset = 0
    private var values = 0

    init(bytes: [UInt8], source: String, limits: JSONLimits) {
        self.bytes = bytes
        self.source = source
        self.limits = limits
    }

    mutating func document() throws(JSONError) -> JSONValue {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            throw error("a byte order mark stands before the text; remove these three bytes")
        }
        let value = try value(depth: 0)
        skipSpace()
        guard offset == bytes.count else {
            throw error("\(bytes.count - offset) bytes follow after the end of the value")
        }
        return value
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        skipSpace()
        guard offset < bytes.count else { throw error("the text ends where a value should stand") }
        values += 1
        guard values <= limits.maxValues else { throw error("more than \(limits.maxValues) values, the limit") }
        switch bytes[offset] {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "{"): return .object(try object(depth: try deeper(depth)))
        case UInt8(ascii: "["): return .array(try array(depth: try deeper(depth)))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "N"), UInt8(ascii: "I"): throw error("NaN and Infinity are not JSON; write a finite number")
        default: throw error("expected a value, found \(found)")
        }
    }

    private func deeper(_ depth: Int) throws(JSONError) -> Int {
        guard depth < limits.maxDepth else { throw error("nested more than \(limits.maxDepth) levels deep, the limit") }
        return depth + 1
    }

    private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
        offset += 1
        var elements: [JSONValue] = []
        if skip(UInt8(ascii: "]")) { return elements }
        while true {
            elements.append(try value(depth: depth))
            if skip(UInt8(ascii: ",")) { continue }
            if skip(UInt8(ascii: "]")) { return elements }
            throw error("expected ',' or ']' in an array, found \(found)")
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
        offset += 1
        var object = JSONObject()
        if skip(UInt8(ascii: "}")) { return object }
        while true {
            skipSpace()
            let start = offset
            guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else {
                throw error("expected a key in double quotes, found \(found)")
            }
            let key = try string()
            guard skip(UInt8(ascii: ":")) else { throw error("expected ':' after a key, found \(found)") }
            let value = try value(depth: depth)
            guard object.append(key, value) else {
                throw error("the key \(JSONError.excerpt(key)) stands twice in one object", at: start)
            }
            guard object.count <= limits.maxKeys else {
                throw error("more than \(limits.maxKeys) keys in one object, the limit", at: start)
            }
            if skip(UInt8(ascii: ",")) { continue }
            if skip(UInt8(ascii: "}")) { return object }
            throw error("expected ',' or '}' in an object, found \(found)")
        }
    }

    private mutating func literal(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
        guard bytes[offset...].starts(with: word.utf8) else { throw error("expected the word \(word)") }
        offset += word.utf8.count
        return value
    }

    // MARK: Bytes

    mutating func advance(to newOffset: Int) {
        offset = newOffset
    }

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return
            }
        }
    }

    private mutating func skip(_ byte: UInt8) -> Bool {
        skipSpace()
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    private var found: String {
        guard offset < bytes.count else { return "the end of the text" }
        let byte = bytes[offset]
        if byte > 0x20 && byte < 0x7F { return "'\(Character(UnicodeScalar(byte)))'" }
        return "the byte 0x\(String(byte, radix: 16, uppercase: true))"
    }

    func error(_ reason: String, at place: Int? = nil) -> JSONError {
        JSONError(source: source, offset: place ?? offset, reason: reason)
    }
}

extension JSONError {
    /// A key in quotes, cut after 40 characters, without control characters: fit to stand in a message.
    static func excerpt(_ key: String) -> String {
        let shown = key.unicodeScalars.prefix(40).map { $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0) }
            .joined()
        return key.unicodeScalars.count > 40 ? "\"\(shown)...\"" : "\"\(shown)\""
    }
}
