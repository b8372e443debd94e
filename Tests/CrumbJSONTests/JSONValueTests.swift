import CrumbJSON
import Testing

@Suite struct JSONValueTests {
    @Test func `keys that are canonically equivalent but differ in bytes are different keys`() throws {
        let composed = "\u{e9}"
        let decomposed = "e\u{301}"
        #expect(composed == decomposed)
        #expect(!sameBytes(composed, decomposed))
        let read = try #require(try JSON.parse("{\"\(composed)\":1,\"\(decomposed)\":2}", source: "t").object)
        #expect(read.count == 2)
        #expect(read[composed]?.int == 1)
        #expect(read[decomposed]?.int == 2)
        #expect(JSONValue.string(composed) != JSONValue.string(decomposed))
    }

    @Test(arguments: [0, 1, 8, 9, 33, 1000])
    func `objects of every size find, replace and remove their members in place`(count: Int) {
        var object = JSONObject()
        for index in 0..<count { object["k\(index)"] = JSONValue(index) }
        #expect(object.count == count)
        for index in 0..<count { #expect(object["k\(index)"]?.int == index) }
        #expect(object["k\(count)"] == nil)
        for index in 0..<count { object["k\(index)"] = JSONValue(index * 2) }
        #expect(object.entries.map(\.key) == (0..<count).map { "k\($0)" })
        for index in 0..<count where index % 2 == 0 { object["k\(index)"] = nil }
        for index in 0..<count { #expect(object["k\(index)"]?.int == (index % 2 == 0 ? nil : index * 2)) }
    }

    @Test func `conveniences answer only for their own kind`() {
        let values: [JSONValue] = [nil, true, 3, 2.5, "x", [1], ["a": 1]]
        #expect(values.map(\.isNull) == [true, false, false, false, false, false, false])
        #expect(values.map(\.bool) == [nil, true, nil, nil, nil, nil, nil])
        #expect(values.map(\.int) == [nil, nil, 3, nil, nil, nil, nil])
        #expect(values.map(\.double) == [nil, nil, 3, 2.5, nil, nil, nil])
        #expect(values.map(\.string) == [nil, nil, nil, nil, "x", nil, nil])
        #expect(values.map { $0.array?.count } == [nil, nil, nil, nil, nil, 1, nil])
        #expect(values.map { $0.object?.count } == [nil, nil, nil, nil, nil, nil, 1])
        #expect(values[6]["a"]?.int == 1)
        #expect(JSONValue.number(.double(4)).int == 4)
        #expect(JSONValue.number(.double(1e300)).int == nil)
    }

    @Test func `writing is compact or indented by two spaces, and reads back as the same value`() throws {
        let value: JSONValue = [
            "a": [1, -2.5, 1e300, .number(.double(.leastNonzeroMagnitude)), true, nil],
            "text": "\"\\\n\t\r\u{8}\u{c}\u{1}\u{1f}/\u{7f}\u{e9}\u{1f600}",
            "empty": [:], "none": [],
        ]
        #expect(
            JSON.serialize(value)
                == "{\"a\":[1,-2.5,1e+300,5e-324,true,null],\"text\":\"\\\"\\\\\\n\\t\\r\\b\\f\\u0001\\u001f/\u{7f}\u{e9}\u{1f600}\",\"empty\":{},\"none\":[]}"
        )
        #expect(
            JSON.serialize(["a": [1, ["b": 2]], "c": []], pretty: true) == """
                {
                  "a": [
                    1,
                    {
                      "b": 2
                    }
                  ],
                  "c": []
                }
                """)
        #expect(try JSON.parse(JSON.serialize(value), source: "t") == value)
        #expect(try JSON.parse(JSON.serialize(value, pretty: true), source: "t") == value)
        #expect(JSON.serialize([.number(.double(.nan)), .number(.double(.infinity))]) == "[null,null]")
    }
}
