import CrumbJSON
import Testing

@Suite struct JSONParserTests {
    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("12", 12), ("9223372036854775807", .number(.integer(.max))),
            ("-9223372036854775808", .number(.integer(.min))), ("9223372036854775808", 9223372036854775808.0),
            ("1.0", 1.0), ("1e2", 100.0), ("-2.5E-1", -0.25), ("5e-324", .number(.double(.leastNonzeroMagnitude))),
            ("1000000000000000019884624838656", 1e30), (" \n\ttrue\r", true), ("false", false), ("null", nil),
            ("\"\"", ""),
            ("[]", []), ("[ 1 , [ ] ]", [1, []]), ("{}", [:]), ("{ \"a\" : { \"b\" : null } }", ["a": ["b": nil]]),
            (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (#""\u0041\u00e9\u20AC\uD83D\uDE00\u0000""#, "A\u{e9}\u{20ac}\u{1f600}\0"),
        ] as [(String, JSONValue)])
    func `valid texts give their value`(text: String, value: JSONValue) throws {
        #expect(try JSON.parse(text, source: "t.json") == value)
    }

    @Test(arguments: [
        ("", 0, "ends where a value"), ("  ", 2, "ends where a value"), ("1 2", 2, "1 bytes follow"),
        ("[1,]", 3, "expected a value, found ']'"),
        ("[1 2]", 3, "expected ',' or ']'"), ("{\"a\" 1}", 5, "expected ':'"), ("{\"a\":1,}", 7, "expected a key"),
        ("{\"a\":1", 6, "expected ',' or '}' in an object, found the end"), ("{a:1}", 1, "expected a key"),
        ("{\"a\":1,\"b\":2,\"a\":3}", 13, "\"a\" stands twice"), ("nul", 0, "the word null"),
        ("NaN", 0, "NaN and Infinity"),
        ("[Infinity]", 1, "NaN and Infinity"), ("-Infinity", 0, "no digits"), ("01", 0, "needless zero"),
        ("-", 0, "no digits"),
        ("1.", 0, "after its point"), ("1e", 0, "in its exponent"), ("1e999", 0, "too large"),
        (".5", 0, "expected a value"),
        ("\"abc", 0, "not closed"), ("\"a\\", 2, "cut off"), ("\"\\x\"", 1, "unknown escape"),
        ("\"\\u12\"", 1, "\\u escape"),
        ("\"\\u12g4\"", 1, "four hexadecimal"), ("\"a\nb\"", 2, "control character 0xa"),
        ("\"\\uD800\"", 1, "high surrogate"),
        ("\"\\uD800\\u0041\"", 1, "high surrogate"), ("\"\\uDC00\"", 1, "low surrogate"),
        ("// x", 0, "expected a value"),
        ("\u{FEFF}1", 0, "byte order mark"), ("\u{e9}", 0, "the byte 0xC3"),
    ])
    func `invalid texts are refused with source, offset and reason`(text: String, offset: Int, reason: String) throws {
        let error = try #require(throws: JSONError.self) { try JSON.parse(text, source: "folder/t.json") }
        #expect(error.offset == offset)
        #expect(error.reason.contains(reason), "\(error)")
        #expect(error.description.hasPrefix("folder/t.json: byte \(offset): "))
    }

    @Test(
        arguments: [[0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82]] as [[UInt8]])
    func `strings that are not UTF-8 are refused`(bytes: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        #expect(throws: JSONError.self) { try JSON.parse([quote] + bytes + [quote], source: "t") }
        // The same behind an escape, which takes another way through the parser.
        #expect(throws: JSONError.self) { try JSON.parse([quote] + Array("\\n".utf8) + bytes + [quote], source: "t") }
        #expect(throws: JSONError.self) { try JSON.parse(bytes, source: "t") }
    }

    @Test func `limits are kept on the dot`() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try JSON.parse(nested(64), source: "t")
        #expect(throws: JSONError.self) { try JSON.parse(nested(65), source: "t") }
        #expect(throws: JSONError.self) { try JSON.parse(String(repeating: "[", count: 100_000), source: "t") }
        _ = try JSON.parse("[1,2]", source: "t", limits: JSONLimits(maxBytes: 5, maxValues: 3))
        #expect(throws: JSONError.self) { try JSON.parse("[1,2]", source: "t", limits: JSONLimits(maxBytes: 4)) }
        #expect(throws: JSONError.self) { try JSON.parse("[1,2]", source: "t", limits: JSONLimits(maxValues: 2)) }
        _ = try JSON.parse("{\"a\":1,\"b\":2}", source: "t", limits: JSONLimits(maxKeys: 2))
        #expect(throws: JSONError.self) {
            try JSON.parse("{\"a\":1,\"b\":2}", source: "t", limits: JSONLimits(maxKeys: 1))
        }
        _ = try JSON.parse("\"abc\"", source: "t", limits: JSONLimits(maxStringBytes: 3))
        #expect(throws: JSONError.self) {
            try JSON.parse("\"abc\"", source: "t", limits: JSONLimits(maxStringBytes: 2))
        }
        #expect(throws: JSONError.self) { try JSON.parse(String(repeating: "1", count: 2000), source: "t") }
    }

    @Test func `every cut and every changed byte of a text is answered without a trap`() throws {
        let text = Array(#"{"a":[1,-2.5e3,"\u00e9\uD83D\uDE00x"],"b":{"c":null,"d":true},"e":false}"#.utf8)
        _ = try JSON.parse(text, source: "t")
        for count in text.indices {
            #expect(throws: JSONError.self) { try JSON.parse(Array(text[..<count]), source: "t") }
        }
        var refused = 0
        for place in text.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = text
                changed[place] = byte
                do { _ = try JSON.parse(changed, source: "t") } catch { refused += 1 }
            }
        }
        #expect(refused > text.count * 128)
    }

    @Test func `a text of ten megabytes with a hundred thousand keys is read in well under a second`() throws {
        var entries: [(String, JSONValue)] = []
        for index in 0..<150_000 { entries.append(("token \(index) \u{120}\u{4e2d}", JSONValue(index))) }
        let merges = (0..<150_000).map { JSONValue.array([.string("a\($0)"), .string("b\($0)")]) }
        let value: JSONValue = ["vocab": .object(JSONObject(entries)), "merges": .array(merges)]
        let bytes = JSON.serializedBytes(value, pretty: true)
        let clock = ContinuousClock()
        let start = clock.now
        let read = try JSON.parse(bytes, source: "t")
        let seconds = clock.now - start
        #expect(read == value)
        #expect(bytes.count > 9_000_000)
        #expect(seconds < .seconds(5), "took \(seconds)")
    }
}
