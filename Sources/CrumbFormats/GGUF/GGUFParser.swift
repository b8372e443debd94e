import CrumbJSON

struct GGUFParser {
    let path: String
    /// The size of the whole file; the reader's window ends at the header limit.
    let fileBytes: Int
    var reader: ByteReader
    private var elements = 0

    init(_ file: UnsafeRawBufferPointer, path: String) {
        self.path = path
        fileBytes = file.count
        let window = unsafe UnsafeRawBufferPointer(rebasing: file.prefix(GGUFLimits.headerBytes))
        reader = unsafe ByteReader(window, path: path)
    }

    /// Magic, version and the two counts.
    mutating func preamble() throws(FormatError) -> (keys: Int, tensors: Int) {
        let magic = try reader.integer(UInt32.self, "the magic number")
        guard magic == 0x4655_4747 else { throw notGGUF(magic) }
        let version = try reader.integer(UInt32.self, "the version")
        guard version == 3 else {
            let isSwapped = version.byteSwapped <= 3
            throw error(
                isSwapped
                    ? "this GGUF file is big-endian, but only little-endian ones can be read"
                    : "GGUF version \(version) is not supported, only version 3; convert the model again")
        }
        let tensors = try reader.integer(UInt64.self, "the number of tensors")
        let keys = try reader.integer(UInt64.self, "the number of metadata keys")
        try check(tensors, "tensors", atMost: GGUFLimits.tensors, each: GGUFLimits.smallestTensorBytes)
        try check(keys, "metadata keys", atMost: GGUFLimits.keys, each: GGUFLimits.smallestKeyBytes)
        return (Int(keys), Int(tensors))
    }

    mutating func metadata(count: Int) throws(FormatError) -> JSONObject {
        var metadata = JSONObject()
        for index in 0..<count {
            let key = try name("metadata key \(index)", limit: GGUFLimits.keyBytes)
            guard metadata[key] == nil else { throw error("the metadata key \"\(key)\" stands twice") }
            let type = try reader.integer(UInt32.self, "the type of \"\(key)\"")
            metadata[key] = try value(type, key: key, depth: 0)
        }
        return metadata
    }

    /// A key or a tensor's name: short printable ASCII, so that it can stand in messages as it is.
    mutating func name(_ what: @autoclosure () -> String, limit: Int) throws(FormatError) -> String {
        let start = reader.offset
        let count = try reader.integer(UInt64.self, "the length of \(what())")
        guard count >= 1, count <= limit else {
            throw error("\(what()) at byte \(start) claims a length of \(count) bytes, allowed are 1 to \(limit)")
        }
        let text = try reader.text(Int(count), what())
        guard text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
            throw error("\(what()) at byte \(start) is not printable ASCII")
        }
        return text
    }

    private mutating func value(_ type: UInt32, key: String, depth: Int) throws(FormatError) -> JSONValue {
        func what() -> String { "the value of \"\(key)\"" }
        switch type {
        case 0: return JSONValue(Int(try reader.integer(UInt8.self, what())))
        case 1: return JSONValue(Int(try reader.integer(Int8.self, what())))
        case 2: return JSONValue(Int(try reader.integer(UInt16.self, what())))
        case 3: return JSONValue(Int(try reader.integer(Int16.self, what())))
        case 4: return JSONValue(Int(try reader.integer(UInt32.self, what())))
        case 5: return JSONValue(Int(try reader.integer(Int32.self, what())))
        case 6: return JSONValue(Double(try reader.float(what())))
        case 7: return try bool(key)
        case 8: return .string(try string(key))
        case 9: return try array(key: key, depth: depth)
        case 10:
            let value = try reader.integer(UInt64.self, what())
            return Int64(exactly: value).map { .number(.integer($0)) } ?? .number(.double(Double(value)))
        case 11: return .number(.integer(try reader.integer(Int64.self, what())))
        case 12: return JSONValue(try reader.double(what()))
        default: throw error("the type \(type) of \"\(key)\" is not one of GGUF's value types, 0 to 12")
        }
    }

    private mutating func bool(_ key: String) throws(FormatError) -> JSONValue {
        let value = try reader.integer(UInt8.self, "the value of \"\(key)\"")
        guard value <= 1 else { throw error("the boolean \"\(key)\" has the value \(value), allowed are 0 and 1") }
        return .bool(value == 1)
    }

    private mutating func string(_ key: String) throws(FormatError) -> String {
        let count = try reader.integer(UInt64.self, "the length of a string of \"\(key)\"")
        guard count <= GGUFLimits.stringBytes else {
            throw error(
                "a string of \"\(key)\" claims \(count) bytes, above the limit of \(GGUFLimits.stringBytes)")
        }
        return try reader.text(Int(count), "a string of \"\(key)\"")
    }

    private mutating func array(key: String, depth: Int) throws(FormatError) -> JSONValue {
        guard depth < GGUFLimits.arrayDepth else {
            throw error("the arrays of \"\(key)\" are nested deeper than \(GGUFLimits.arrayDepth) levels")
        }
        let type = try reader.integer(UInt32.self, "the element type of \"\(key)\"")
        let count = try reader.integer(UInt64.self, "the number of elements of \"\(key)\"")
        guard type < 13 else { throw error("the element type \(type) of \"\(key)\" is not one of GGUF's, 0 to 12") }
        let smallest = Self.smallestBytes[Int(type)]
        guard count <= UInt64(reader.remaining / smallest) else {
            throw error(
                "the array \"\(key)\" claims \(count) elements of at least \(smallest) bytes,"
                    + " but \(reader.remaining) bytes are left")
        }
        elements += Int(count)
        guard elements <= GGUFLimits.elements else {
            throw error("the metadata arrays hold more than \(GGUFLimits.elements) elements, the limit, at \"\(key)\"")
        }
        var values: [JSONValue] = []
        values.reserveCapacity(Int(count))
        for _ in 0..<Int(count) {
            values.append(try value(type, key: key, depth: depth + 1))
        }
        return .array(values)
    }

    /// The fewest bytes a value of each type can take: a string its length, an array its type and its count.
    private static let smallestBytes = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8]

    private func check(_ count: UInt64, _ what: String, atMost limit: Int, each: Int) throws(FormatError) {
        guard count <= limit else { throw error("claims \(count) \(what), above the limit of \(limit)") }
        guard count <= reader.remaining / each else {
            throw error("claims \(count) \(what) of at least \(each) bytes, but has only \(fileBytes) bytes in all")
        }
    }

    private func notGGUF(_ magic: UInt32) -> FormatError {
        switch magic {
        case 0x7372_6576: error("is not a GGUF file but a Git LFS pointer; fetch the real file with git lfs pull")
        case 0x4F44_213C, 0x6F64_213C, 0x6D74_683C: error("is not a GGUF file but a web page; download it again")
        case 0x6767_6D6C, 0x6767_6D66, 0x6767_6A74:
            error("is in a GGML format older than GGUF; convert the model again")
        default: error("is not a GGUF file: it starts with 0x\(String(magic, radix: 16)) instead of \"GGUF\"")
        }
    }

    func error(_ reason: String) -> FormatError { FormatError(path: path, reason: reason) }
}
