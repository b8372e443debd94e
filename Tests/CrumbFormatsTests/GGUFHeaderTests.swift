import CrumbFormats
import CrumbJSON
import CrumbTensor
import CrumbTestSupport
import Testing

private func parse(_ bytes: [UInt8]) throws -> GGUFHeader {
    try bytes.withUnsafeBytes { try GGUFHeader($0, path: "folder/m.gguf") }
}

private typealias B = GGUFBuilder

/// A damaged file and a part of the sentence that must answer it.
struct BadGGUF: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let file: [UInt8]
    let reason: String

    init(_ name: String, _ reason: String, _ change: (inout GGUFBuilder) -> Void) {
        var builder = GGUFBuilder()
        change(&builder)
        testDescription = name
        file = builder.file
        self.reason = reason
    }

    /// One key of an array type with this element type, count and content.
    static func array(_ type: UInt32, _ count: UInt64, _ content: [UInt8]) -> [UInt8] {
        GGUFBuilder.bytes(type) + GGUFBuilder.bytes(count) + content
    }

    /// Arrays within arrays.
    static func nested(_ depth: Int) -> [UInt8] {
        depth == 0 ? array(0, 1, [7]) : array(9, 1, nested(depth - 1))
    }
}

@Suite struct GGUFHeaderTests {
    @Test func `all value types and a table of tensors are read`() throws {
        var builder = GGUFBuilder()
        builder.add("u8", type: 0, [255])
        builder.add("i8", type: 1, [255])
        builder.add("u16", type: 2, B.bytes(UInt16.max))
        builder.add("i16", type: 3, B.bytes(Int16.min))
        builder.add("u32", UInt32.max)
        builder.add("i32", type: 5, B.bytes(Int32.min))
        builder.add("f32", Float(0.5))
        builder.add("bool", true)
        builder.add("string", "\u{1f600}")
        builder.add("u64", type: 10, B.bytes(UInt64(1) << 62))
        builder.add("huge", type: 10, B.bytes(UInt64.max))
        builder.add("i64", type: 11, B.bytes(Int64.min))
        builder.add("f64", type: 12, B.bytes((0.1).bitPattern))
        builder.add("strings", ["", "x"])
        builder.add("nested", type: 9, BadGGUF.array(9, 2, BadGGUF.array(0, 1, [1]) + BadGGUF.array(7, 2, [0, 1])))
        builder.addTensor("a", [32, 2, 3], type: 2, [UInt8](repeating: 1, count: 18 * 6))
        builder.addTensor("b", [3], [1, 2, 3])
        let header = try parse(builder.file)
        #expect(
            header.metadata == [
                "u8": 255, "i8": -1, "u16": 65535, "i16": -32768, "u32": 4_294_967_295, "i32": -2_147_483_648,
                "f32": 0.5,
                "bool": true, "string": "\u{1f600}", "u64": 4_611_686_018_427_387_904, "huge": 18446744073709551615.0,
                "i64": .number(.integer(.min)), "f64": 0.1, "strings": ["", "x"], "nested": [[1], [false, true]],
            ])
        #expect(header.tensors.map(\.name) == ["a", "b"])
        #expect(header.tensors[0].layout.shape == [3, 2, 32])
        #expect(header.tensors[0].layout.type == .q4_0)
        #expect(header.tensors[0].layout.byteCount == 108)
        #expect(header.tensors[1].offset == header.tensors[0].offset + 128)
        #expect(builder.file.count == header.tensors[1].offset + 32)
    }

    @Test(arguments: [8, 64, 4096, 65536])
    func `the data start at a multiple of the alignment that the file sets`(alignment: Int) throws {
        var builder = GGUFBuilder()
        builder.alignment = alignment
        builder.add("general.alignment", UInt32(alignment))
        builder.addTensor("a", [3], [1, 2, 3])
        let header = try parse(builder.file)
        #expect(header.tensors[0].offset == (builder.header.count + alignment - 1) / alignment * alignment)
    }

    @Test(arguments: [
        BadGGUF("another magic", "starts with 0x21212121") { $0.magic = Array("!!!!".utf8) },
        BadGGUF("a Git LFS pointer", "git lfs pull") { $0.magic = Array("version https://git-lfs".utf8) },
        BadGGUF("a web page", "web page") { $0.magic = Array("<!DOCTYPE html>".utf8) },
        BadGGUF("version 2", "version 2 is not supported") { $0.version = 2 },
        BadGGUF("version 4", "version 4 is not supported") { $0.version = 4 },
        BadGGUF("the other byte order", "big-endian") { $0.version = UInt32(3).byteSwapped },
        BadGGUF("too many tensors for the file", "claims 9 tensors of at least 33 bytes") { $0.claimedTensors = 9 },
        BadGGUF("a number of tensors near 2^64", "claims 18446744073709551615 tensors") { $0.claimedTensors = .max },
        BadGGUF("too many keys for the file", "claims 65000 metadata keys of at least 14 bytes") {
            $0.claimedKeys = 65_000
        },
        BadGGUF("a number of keys near 2^64", "claims 18446744073709551615 metadata keys") { $0.claimedKeys = .max },
        BadGGUF("one key less than claimed", "needs 8 bytes but only 0 are left") {
            $0.add("general.architecture", "llama")
            $0.claimedKeys = 2
        },
        BadGGUF("an empty key", "claims a length of 0 bytes") { $0.add("", "a value that makes the file long") },
        BadGGUF("a key above 65535 bytes", "claims a length of 65536 bytes") {
            $0.add(String(repeating: "k", count: 65_536), UInt32(1))
        },
        BadGGUF("a key length near 2^64", "claims a length of 18446744073709551615") {
            $0.addRaw(B.bytes(UInt64.max) + [UInt8](repeating: 0, count: 40))
        },
        BadGGUF("a key outside ASCII", "metadata key 0 at byte 24 is not printable ASCII") {
            $0.add("k\u{e9}y", UInt32(1))
        },
        BadGGUF("a key that is not UTF-8", "metadata key 0 at byte 32 is not valid UTF-8") {
            $0.addRaw(B.bytes(UInt64(4)) + [0x61, 0xFF, 0xFE, 0x61] + B.bytes(UInt32(4)) + B.bytes(UInt32(4)))
        },
        BadGGUF("a key twice", "\"k\" stands twice") {
            $0.add("k", UInt32(1))
            $0.add("k", UInt32(2))
        },
        BadGGUF("an unknown value type", "the type 13 of \"k\"") { $0.add("k", type: 13, [0, 0, 0, 0]) },
        BadGGUF("a boolean of 2", "has the value 2, allowed are 0 and 1") { $0.add("kkkkk", type: 7, [2]) },
        BadGGUF("a boolean of 255 in an array", "has the value 255") {
            $0.add("k", type: 9, BadGGUF.array(7, 2, [1, 255]))
        },
        BadGGUF("a string length near 2^64", "claims 18446744073709551615 bytes") {
            $0.add("k", type: 8, B.bytes(UInt64.max))
        },
        BadGGUF("a string beyond the file", "needs 100 bytes but only 3 are left") {
            $0.add("k", type: 8, B.bytes(UInt64(100)) + [1, 2, 3])
        },
        BadGGUF("a string that is not UTF-8", "is not valid UTF-8") {
            $0.add("k", type: 8, B.bytes(UInt64(2)) + [0xC3, 0x28])
        },
        BadGGUF("an unknown element type", "the element type 13") { $0.add("k", type: 9, BadGGUF.array(13, 1, [0])) },
        BadGGUF("an array longer than the file", "claims 5 elements of at least 4 bytes, but 16 bytes are left") {
            $0.add("k", type: 9, BadGGUF.array(4, 5, [UInt8](repeating: 0, count: 16)))
        },
        BadGGUF("an array count near 2^64", "claims 18446744073709551615 elements") {
            $0.add("k", type: 9, BadGGUF.array(8, .max, []))
        },
        BadGGUF("arrays nested too deep", "nested deeper than 4 levels") { $0.add("k", type: 9, BadGGUF.nested(4)) },
        BadGGUF("arrays nested absurdly deep", "nested deeper than 4 levels") {
            $0.add("k", type: 9, BadGGUF.nested(2000))
        },
        BadGGUF("more array elements than the limit", "more than 4000000 elements") {
            $0.add("k", type: 9, BadGGUF.array(0, 4_000_001, [UInt8](repeating: 0, count: 4_000_001)))
        },
        BadGGUF("an alignment of 0", "general.alignment is 0") { $0.add("general.alignment", UInt32(0)) },
        BadGGUF("an alignment that is no power of two", "general.alignment is 48") {
            $0.add("general.alignment", UInt32(48))
        },
        BadGGUF("an alignment above the limit", "general.alignment is 131072") {
            $0.add("general.alignment", UInt32(131_072))
        },
        BadGGUF("an alignment that wraps when padded", "general.alignment is 2147483648") {
            $0.add("general.alignment", UInt32(1) << 31)
        },
        BadGGUF("an alignment that is a string", "general.alignment is \"32\"") { $0.add("general.alignment", "32") },
        BadGGUF("an unknown tensor type", "has the type 99, which cannot be read") {
            $0.addTensor("t", [4], type: 99, [])
        },
        BadGGUF("a tensor type that GGML removed", "has the type 4, which cannot be read") {
            $0.addTensor("t", [4], type: 4, [])
        },
        BadGGUF("a tensor type that Crumb does not read", "IQ3_XXS (18)") { $0.addTensor("t", [256], type: 18, []) },
        BadGGUF("no dimensions", "has 0 dimensions") { $0.addTensor("tttttttt", [], type: 0, []) },
        BadGGUF("five dimensions", "has 5 dimensions") { $0.addTensor("t", [1, 1, 1, 1, 1], type: 0, [0, 0, 0, 0]) },
        BadGGUF("a rank near 2^32", "has 4294967295 dimensions") {
            $0.addTensor("t", [1], type: 0, rank: .max, [0, 0, 0, 0])
        },
        BadGGUF("a dimension of 0", "dimension 1 of t is 0") { $0.addTensor("t", [4, 0], type: 0, []) },
        BadGGUF("a dimension that is negative as an integer", "is 18446744073709551615, which") {
            $0.addTensor("t", [.max], type: 0, [])
        },
        BadGGUF("a product of dimensions that overflows", "is too large") {
            $0.addTensor("t", [1 << 32, 1 << 32], type: 0, [0, 0, 0, 0])
        },
        BadGGUF("a product that wraps to a small number", "is too large") {
            $0.addTensor("t", [1 << 62, 1 << 2, 1 << 1], type: 0, [0, 0, 0, 0])
        },
        BadGGUF("a number of bytes that overflows", "is too large") {
            $0.addTensor("t", [1 << 61, 2], type: 0, [0, 0, 0, 0])
        },
        BadGGUF("a row that is no whole block", "does not fill whole Q4_0 (2) blocks") {
            $0.addTensor("t", [16, 2], type: 2, [UInt8](repeating: 0, count: 18))
        },
        BadGGUF("an offset that is not aligned", "is not a multiple of the alignment 32") {
            $0.addTensor("t", [1], type: 0, offset: 16, [UInt8](repeating: 0, count: 64))
        },
        BadGGUF("an offset beyond the file", "at offset 64 of the data, which has 32 bytes") {
            $0.addTensor("t", [1], type: 0, offset: 64, [0, 0, 0, 0])
        },
        BadGGUF("an offset whose sum with the start wraps", "at offset 18446744073709551584") {
            $0.addTensor("t", [1], type: 0, offset: 0 &- 32, [0, 0, 0, 0])
        },
        BadGGUF("a tensor longer than the file", "needs 4096 bytes at offset 0 of the data, which has 32 bytes") {
            $0.addTensor("t", [1024], type: 0, [0, 0, 0, 0])
        },
        BadGGUF("a name twice", "the tensor \"t\" stands twice") {
            $0.addTensor("t", [1], [0])
            $0.addTensor("t", [1], [0])
        },
        BadGGUF("an empty name", "claims a length of 0 bytes") { $0.addTensor("", [1], [0]) },
        BadGGUF("a name above the limit", "claims a length of 300 bytes") {
            $0.addTensor(String(repeating: "n", count: 300), [1], [0])
        },
        BadGGUF("a name with a control character", "is not printable ASCII") { $0.addTensor("a\nb", [1], [0]) },
        BadGGUF("two tensors on the same bytes", "overlap") {
            $0.addTensor("a", [16], type: 0, [UInt8](repeating: 0, count: 64))
            $0.addTensor("b", [8], type: 0, offset: 32, [UInt8](repeating: 0, count: 32))
        },
    ])
    func `damaged and lying files are refused with a sentence`(bad: BadGGUF) throws {
        let error = try #require(throws: FormatError.self) { _ = try parse(bad.file) }
        #expect(error.path == "folder/m.gguf")
        #expect(error.reason.contains(bad.reason), "\(error)")
    }

    @Test func `a file cut at any byte is refused`() throws {
        let file = GGUFBuilder.model("llama", hasHead: true).file
        _ = try parse(file)
        let end = try #require(try parse(file).tensors.map { $0.offset + $0.layout.byteCount }.max())
        for count in 0..<end where count < 4096 || count % 61 == 0 || count > end - 64 {
            #expect(throws: FormatError.self, "\(count) of \(file.count) bytes") {
                _ = try parse(Array(file[..<count]))
            }
        }
    }

    @Test func `no changed byte makes the reader trap or look outside the file`() throws {
        let builder = GGUFBuilder.model("qwen2", hasBias: true)
        let file = builder.file
        var random = SeededGenerator(seed: 7)
        for _ in 0..<20_000 {
            var changed = file
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<builder.header.count, using: &random)
                changed[place] = Bool.random(using: &random) ? 0xFF : UInt8.random(in: .min ... .max, using: &random)
            }
            guard let header = try? parse(changed) else { continue }
            for tensor in header.tensors {
                #expect(tensor.offset >= 24 && tensor.offset + tensor.layout.byteCount <= changed.count)
            }
        }
    }
}
