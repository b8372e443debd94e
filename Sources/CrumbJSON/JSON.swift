/// Reading and writing JSON (RFC 8259), strictly: no comments, no trailing commas, no NaN, no duplicate keys, UTF-8 only.
package enum JSON {
    /// Reads one value that fills the whole text.
    ///
    /// - Parameter source: what the text is, for error messages; usually a file name.
    /// - Throws: `JSONError` where the text is not valid or exceeds `limits`.
    package static func parse(
        _ bytes: [UInt8], source: String, limits: JSONLimits = JSONLimits()
    ) throws(JSONError) -> JSONValue {
        guard bytes.count <= limits.maxBytes else {
            throw tooLong(bytes.count, source, limits)
        }
        var parser = JSONParser(bytes: bytes, source: source, limits: limits)
        return try parser.document()
    }

    /// Reads one value from borrowed memory; the bytes are copied once, after their number was checked.
    ///
    /// - Throws: `JSONError` where the text is not valid or exceeds `limits`.
    package static func parse(
        _ bytes: UnsafeRawBufferPointer, source: String, limits: JSONLimits = JSONLimits()
    ) throws(JSONError) -> JSONValue {
        guard bytes.count <= limits.maxBytes else {
            throw tooLong(bytes.count, source, limits)
        }
        return try parse(unsafe [UInt8](bytes), source: source, limits: limits)
    }

    /// Reads one value from a string.
    ///
    /// - Throws: `JSONError` where the text is not valid or exceeds `limits`.
    package static func parse(
        _ text: String, source: String, limits: JSONLimits = JSONLimits()
    ) throws(JSONError) -> JSONValue {
        try parse([UInt8](text.utf8), source: source, limits: limits)
    }

    /// Writes a value: compact without any space, or pretty with two spaces of indentation; keys keep their order,
    /// characters outside ASCII stand as they are, numbers that are not finite become `null`.
    package static func serialize(_ value: JSONValue, pretty: Bool = false) -> String {
        String(decoding: serializedBytes(value, pretty: pretty), as: UTF8.self)
    }

    /// The UTF-8 bytes of `serialize`, without the detour over a string.
    package static func serializedBytes(_ value: JSONValue, pretty: Bool = false) -> [UInt8] {
        var writer = JSONWriter(pretty: pretty)
        writer.write(value, depth: 0)
        return writer.bytes
    }

    private static func tooLong(_ count: Int, _ source: String, _ limits: JSONLimits) -> JSONError {
        JSONError(
            source: source, offset: limits.maxBytes,
            reason: "the text has \(count) bytes, above the limit of \(limits.maxBytes)")
    }
}
