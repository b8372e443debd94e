import CrumbFormats
import CrumbJSON
import CrumbTensor
import CrumbTestSupport
import Testing

private func file(_ json: String, data: Int = 0) -> [UInt8] {
    GGUFBuilder.bytes(UInt64(json.utf8.count)) + Array(json.utf8) + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
}

private func parse(_ bytes: [UInt8]) throws -> SafetensorsHeader {
    try bytes.withUnsafeBytes { try SafetensorsHeader($0, path: "m.safetensors") }
}

private func entry(_ dtype: String, _ shape: String, _ begin: Int, _ end: Int) -> String {
    #"{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
}

@Suite struct SafetensorsTests {
    @Test func `tensors of every dtype are read in the order of their bytes`() throws {
        let json = """
            {"__metadata__":{"format":"pt"},"f":\(entry("F32", "[2,1]", 24, 32)),"b":\(entry("BF16", "[3]", 18, 24)),
            "h":\(entry("F16", "[]", 16, 18)),"i":\(entry("I8", "[2]", 8, 10)),"u":\(entry("U8", "[2]", 10, 12)),
            "s":\(entry("U16", "[2]", 12, 16)),"l":\(entry("I64", "[1]", 0, 8)),"w":\(entry("I32", "[1]", 32, 36)),
            "empty":\(entry("F32", "[0,5]", 32, 32))}
            """
        let header = try parse(file(json, data: 36))
        #expect(header.metadata == ["format": "pt"])
        #expect(header.tensors.map(\.layout.name) == ["l", "i", "u", "s", "h", "b", "f", "empty", "w"])
        #expect(header.tensors.map(\.layout.type) == [.i64, .i8, .u8, .u16, .f16, .bf16, .f32, .f32, .i32])
        #expect(header.tensors[6].layout.shape == [2, 1])
        #expect(header.tensors[6].offset == 8 + json.utf8.count + 24)
    }

    @Test(arguments: [
        ("no object", "[]", 0, "not an object"), ("not JSON", "{ ", 0, "byte 2"),
        ("text after the JSON", "{} x", 0, "follow after"),
        (
            "a tensor twice", #"{"a":\#(entry("U8", "[1]", 0, 1)),"a":\#(entry("U8", "[1]", 0, 1))}"#, 1,
            "\"a\" stands twice"
        ),
        ("metadata that are no strings", #"{"__metadata__":{"a":1}}"#, 0, "__metadata__ must be an object of strings"),
        ("metadata that are no object", #"{"__metadata__":"a"}"#, 0, "__metadata__ must be an object of strings"),
        ("an entry that is no object", #"{"a":1}"#, 0, "must have dtype, shape and two data_offsets"),
        ("an entry without a shape", #"{"a":{"dtype":"U8","data_offsets":[0,1]}}"#, 1, "must have dtype, shape"),
        ("an entry with more", #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}"#, 1, "and nothing else"),
        ("three offsets", #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}"#, 1, "two data_offsets"),
        ("an unknown dtype", #"{"a":\#(entry("F64", "[1]", 0, 8))}"#, 8, "has the dtype F64, which cannot be read"),
        ("nine dimensions", #"{"a":\#(entry("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1))}"#, 1, "has 9 dimensions"),
        ("a negative dimension", #"{"a":\#(entry("U8", "[-1]", 0, 1))}"#, 1, "a dimension of a is not a size"),
        ("a dimension with a fraction", #"{"a":\#(entry("U8", "[1.5]", 0, 1))}"#, 1, "a dimension of a is not a size"),
        ("a product that overflows", #"{"a":\#(entry("U8", "[4294967296,4294967296]", 0, 1))}"#, 1, "is too large"),
        (
            "a product that wraps to zero", #"{"a":\#(entry("U8", "[4294967296,4294967296,0]", 0, 0))}"#, 0,
            "is too large"
        ),
        ("bytes that overflow", #"{"a":\#(entry("F32", "[4611686018427387904]", 0, 0))}"#, 0, "is too large"),
        ("begin after end", #"{"a":\#(entry("U8", "[1]", 1, 0))}"#, 1, "outside the 1 bytes of data"),
        ("a negative begin", #"{"a":\#(entry("U8", "[2]", -1, 1))}"#, 1, "outside the 1 bytes of data"),
        ("an end beyond the file", #"{"a":\#(entry("U8", "[2]", 0, 2))}"#, 1, "outside the 1 bytes of data"),
        (
            "an offset beyond 64 bits", #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551616]}}"#, 1,
            "outside the 1"
        ),
        (
            "fewer bytes than the shape", #"{"a":\#(entry("F32", "[2]", 0, 4))}"#, 4,
            "has 4 bytes, but F32 of shape [2] takes 8"
        ),
        (
            "an overlap", #"{"a":\#(entry("U8", "[2]", 0, 2)),"b":\#(entry("U8", "[2]", 1, 3))}"#, 3,
            "b overlaps the tensor before it"
        ),
        (
            "the same bytes twice", #"{"a":\#(entry("U8", "[2]", 0, 2)),"b":\#(entry("U8", "[2]", 0, 2))}"#, 2,
            "overlaps"
        ),
        (
            "a hole", #"{"a":\#(entry("U8", "[1]", 0, 1)),"b":\#(entry("U8", "[1]", 2, 3))}"#, 3,
            "b leaves a hole before it"
        ),
        ("a hole at the start", #"{"a":\#(entry("U8", "[1]", 1, 2))}"#, 2, "a leaves a hole before it"),
        (
            "bytes at the end", #"{"a":\#(entry("U8", "[1]", 0, 1))}"#, 3,
            "2 bytes at the end of the data belong to no tensor"
        ),
        ("data without tensors", "{}", 1, "1 bytes at the end"),
        ("a name outside ASCII", #"{"\u00e9":\#(entry("U8", "[1]", 0, 1))}"#, 1, "printable ASCII"),
        ("an empty name", #"{"":\#(entry("U8", "[1]", 0, 1))}"#, 1, "printable ASCII"),
        ("deep nesting", #"{"a":[[[[[]]]]]}"#, 0, "nested more than 4"),
    ])
    func `damaged and lying headers are refused with a sentence`(
        name: String, json: String, data: Int, reason: String
    ) throws {
        let error = try #require(throws: (any Error).self, "\(name)") { _ = try parse(file(json, data: data)) }
        #expect("\(error)".contains(reason), "\(name): \(error)")
        #expect("\(error)".hasPrefix("m.safetensors: "))
    }

    @Test(arguments: [
        (UInt64(0), "claims a header of 0 bytes"), (1, "claims a header of 1 bytes"),
        (100_000_001, "allowed are 2 to 100000000"),
        (.max, "claims a header of 18446744073709551615 bytes"), (3, "but only 2 follow"),
        (99_999_999, "but only 2 follow"),
        (UInt64(0x206E_6F69_7372_6576), "git lfs pull"),
    ])
    func `lengths that cannot be are refused before anything is read`(length: UInt64, reason: String) throws {
        let error = try #require(throws: FormatError.self) {
            _ = try parse(GGUFBuilder.bytes(length) + Array("{}".utf8))
        }
        #expect(error.reason.contains(reason), "\(error)")
    }

    @Test func `more tensors than any model has are refused before any of them is looked at`() throws {
        func header(_ count: Int) -> [UInt8] {
            file("{" + (0..<count).map { "\"\($0)\":0" }.joined(separator: ",") + "}")
        }
        let error = try #require(throws: FormatError.self) { _ = try parse(header(400_001)) }
        #expect(error.reason == "holds 400001 tensors, above the limit of 400000")
        // The JSON reader stops on its own where even the keys are too many.
        #expect(throws: JSONError.self) { try parse(header(400_002)) }
    }

    @Test func `a header that is not UTF-8 is refused`() throws {
        var bytes = file(#"{"a":\#(entry("U8", "[1]", 0, 1))}"#, data: 1)
        _ = try parse(bytes)
        bytes[10] = 0xFF
        let error = try #require(throws: JSONError.self) { _ = try parse(bytes) }
        #expect(error.description.contains("UTF-8"), "\(error)")
    }

    @Test func `a file cut at any byte is refused, and no changed byte makes the reader trap`() throws {
        let json = #"{"a":\#(entry("F32", "[2,3]", 0, 24)),"b":\#(entry("U8", "[5]", 24, 29))}"#
        let sound = file(json, data: 29)
        _ = try parse(sound)
        for count in sound.indices {
            #expect(throws: (any Error).self) { _ = try parse(Array(sound[..<count])) }
        }
        var random = SeededGenerator(seed: 11)
        for _ in 0..<20_000 {
            var changed = sound
            changed[Int.random(in: 0..<8 + json.utf8.count, using: &random)] = UInt8.random(
                in: .min ... .max, using: &random)
            guard let header = try? parse(changed) else { continue }
            #expect(header.tensors.reduce(0) { $0 + $1.layout.byteCount } == 29)
        }
    }

    @Test func `bytes that a short header left unaligned are copied to an aligned place`() throws {
        let folder = try TemporaryFolder()
        for padding in 0..<4 {
            let json = #"{"a":\#(entry("F32", "[2]", 0, 8))}"# + String(repeating: " ", count: padding)
            let path = try folder.write("m.safetensors", file(json, data: 8))
            let tensor = try SafetensorsFile(path: path).tensor("a")
            #expect(Int(bitPattern: tensor.bytes.baseAddress) % 4 == 0)
            #expect(Array(tensor.bytes) == [0, 1, 2, 3, 4, 5, 6, 7])
        }
    }
}
