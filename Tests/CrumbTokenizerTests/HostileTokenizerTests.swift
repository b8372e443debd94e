import CrumbJSON
import CrumbTokenizer
import Testing

/// Files that lie: each is refused with one sentence that names the place and the numbers.
@Suite struct HostileTokenizerTests {
    struct Lie: Sendable, CustomTestStringConvertible {
        let key: String
        let value: JSONValue
        let sentence: String
        var testDescription: String { sentence }
    }

    static func model(_ fields: JSONValue) -> JSONValue {
        var model = JSONObject([("vocab", ["a": 0, "b": 1, "ab": 2]), ("merges", [["a", "b"]])])
        for (key, value) in fields.object?.entries ?? [] { model[key] = value }
        return .object(model)
    }

    static func added(_ fields: JSONValue) -> JSONValue {
        var token = JSONObject([
            ("id", 1), ("content", "<s>"), ("single_word", false), ("lstrip", false), ("rstrip", false),
            ("normalized", false), ("special", true),
        ])
        for (key, value) in fields.object?.entries ?? [] { token[key] = value }
        return .object(token)
    }

    static let template: JSONValue = [
        "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<s>", "type_id": 0]]],
        "special_tokens": ["<s>": ["id": "<s>", "ids": [9], "tokens": ["<s>"]]],
    ]

    static let lies: [Lie] = [
        Lie(key: "model", value: nil, sentence: "\"model\" must have a \"vocab\""),
        Lie(key: "model", value: model(["type": "Unigram"]), sentence: "the model type \"Unigram\" is not known"),
        Lie(key: "model", value: model(["vocab": ["a": -1]]), sentence: "must be an integer from 0"),
        Lie(key: "model", value: model(["vocab": ["a": 0.5]]), sentence: "must be an integer from 0"),
        Lie(key: "model", value: model(["vocab": ["a": 2_000_000_000]]), sentence: "has id 2000000000, far above"),
        Lie(key: "model", value: model(["vocab": ["a": 0, "b": 0]]), sentence: "\"a\" and \"b\" both have id 0"),
        Lie(key: "model", value: model(["merges": [["a", "c"]]]), sentence: "merge 0 needs the token \"c\""),
        Lie(key: "model", value: model(["merges": [["b", "a"]]]), sentence: "merge 0 needs the token \"ba\""),
        Lie(key: "model", value: model(["merges": ["a b c"]]), sentence: "not two tokens with one space"),
        Lie(key: "model", value: model(["merges": ["ab"]]), sentence: "not two tokens with one space"),
        Lie(key: "model", value: model(["merges": [["a"]]]), sentence: "merge 0 must be a list of two texts"),
        Lie(key: "model", value: model(["merges": "a b"]), sentence: "\"merges\" must be a list"),
        Lie(key: "model", value: model(["unk_token": "<unk>"]), sentence: "\"<unk>\" is not in its vocabulary"),
        Lie(key: "model", value: model(["dropout": 0.1]), sentence: "\"dropout\" must be null or 0"),
        Lie(key: "model", value: model(["end_of_word_suffix": "</w>"]), sentence: "must be null or empty"),
        Lie(key: "added_tokens", value: [3], sentence: "the added token must be an object"),
        Lie(key: "added_tokens", value: [added(["special": 1])], sentence: "\"special\" of the added token \"<s>\""),
        Lie(key: "added_tokens", value: [added(["id": 0])], sentence: "\"a\" and \"<s>\" both have id 0"),
        Lie(key: "added_tokens", value: [added([:]), added(["id": 2])], sentence: "have the same content"),
        Lie(key: "added_tokens", value: [added(["content": "a"])], sentence: "has id 1, but id 0 in the vocabulary"),
        Lie(
            key: "added_tokens", value: [added(["content": .string(String(repeating: "x", count: 600))])],
            sentence: "has 600 bytes, above the limit of 512"),
        Lie(key: "normalizer", value: ["type": "NFKC"], sentence: "the normalizer \"NFKC\" is not known"),
        Lie(
            key: "normalizer", value: ["type": "Replace", "pattern": ["Regex": " +"], "content": ""],
            sentence: "only a plain text that is not empty can be replaced"),
        Lie(
            key: "normalizer",
            value: [
                "type": "Replace", "pattern": ["String": "a"], "content": .string(String(repeating: "a", count: 65)),
            ], sentence: "above the limits"),
        Lie(
            key: "pre_tokenizer",
            value: ["type": "Split", "pattern": ["Regex": "(a+)+$"], "behavior": "Isolated", "invert": false],
            sentence: "splits at \"(a+)+$\", which is none of the patterns"),
        Lie(key: "pre_tokenizer", value: ["type": "Whitespace"], sentence: "\"Whitespace\" is not known"),
        Lie(
            key: "pre_tokenizer",
            value: [
                "type": "Sequence",
                "pretokenizers": [
                    ["type": "ByteLevel", "add_prefix_space": false], ["type": "Digits", "individual_digits": true],
                ],
            ], sentence: "ByteLevel must be the last step"),
        Lie(key: "post_processor", value: template, sentence: "token \"<s>\", whose id is not in the vocabulary"),
        Lie(
            key: "post_processor", value: ["type": "TemplateProcessing", "single": []],
            sentence: "must name the text A once"),
        Lie(key: "decoder", value: ["type": "WordPiece"], sentence: "the decoder \"WordPiece\" is not known"),
        Lie(
            key: "decoder",
            value: ["type": "Sequence", "decoders": [["type": "Strip", "content": " ", "start": 1, "stop": 0]]],
            sentence: "the decoder \"Strip\" is not known at this place"),
    ]

    @Test("A tokenizer that lies is refused in one sentence", arguments: lies)
    func refused(lie: Lie) throws {
        var json = TokenizerTests.tiny
        json[lie.key] = lie.value
        let error = try #require(throws: TokenizerError.self) {
            try Tokenizer(json: .object(json), source: "models/x/tokenizer.json")
        }
        #expect(error.description.contains(lie.sentence), "\(error)")
        #expect(error.description.hasPrefix("models/x/tokenizer.json: ") && error.description.hasSuffix("."))
        #expect(!error.description.contains("\n"))
    }

    @Test("Sequences in each other are counted before they are followed")
    func deepSequences() throws {
        var steps: JSONValue = ["type": "NFC"]
        for _ in 0..<40 { steps = ["type": "Sequence", "normalizers": [steps, steps]] }
        var json = TokenizerTests.tiny
        json["normalizer"] = steps
        let error = try #require(throws: TokenizerError.self) { try Tokenizer(json: .object(json)) }
        #expect(error.reason == "the normalizer has more than 16 steps")
    }

    @Test("A vocabulary above the embedding's rows is refused, one that fills them is not")
    func vocabularyLimit() throws {
        let json = try TokenizerVectors.family("gpt2").json
        #expect(try Tokenizer(json: json, vocabularyLimit: 1501).vocabularySize == 1501)
        let error = try #require(throws: TokenizerError.self) { try Tokenizer(json: json, vocabularyLimit: 1500) }
        #expect(error.reason.contains("\"<|endoftext|>\" has id 1500, but the model's embedding has 1500 rows only"))
    }

    @Test("A configuration that names a token which is not there is refused")
    func unknownEnd() throws {
        let error = try #require(throws: TokenizerError.self) {
            try Tokenizer(json: .object(TokenizerTests.tiny), configuration: ["eos_token": "<end>"])
        }
        #expect(error.reason.contains("names \"<end>\" as eos_token, but there is no such token"))
    }

    @Test("Whatever is changed in a tokenizer, it is read or refused, and what is read works")
    func mutations() throws {
        var random = SplitMix(state: 1)
        var readCount = 0
        let groups = try TokenizerVectors.options()
        for group in groups {
            for _ in 0..<60 {
                var json = group.json
                for _ in 0...(random.next() % 3) { json = mutated(json, &random) }
                guard let tokenizer = try? Tokenizer(json: json) else { continue }
                readCount += 1
                for entry in group.cases {
                    let ids = tokenizer.encode(entry.text, addSpecialTokens: true)
                    #expect(ids.allSatisfy { $0 >= 0 && Int($0) < tokenizer.vocabularySize })
                    _ = tokenizer.decode(ids + [-1, .max], skipSpecialTokens: random.next() % 2 == 0)
                }
            }
        }
        #expect(readCount > 100, "most changes must leave something to try")
    }

    /// The value with one place in it replaced by something strange.
    private func mutated(_ value: JSONValue, _ random: inout SplitMix) -> JSONValue {
        let strange: [JSONValue] = [
            nil, true, 0, -1, 2_147_483_647, 4_294_967_296, 0.5, "", "a", "\u{2581}", "\u{E9}", [], [:], ["a", "b"],
            ["type": "Sequence"], ["String": ""], ["type": "ByteLevel", "add_prefix_space": true],
        ]
        if random.next() % 8 == 0 { return strange[Int(random.next() % UInt64(strange.count))] }
        switch value {
        case .array(var elements) where !elements.isEmpty:
            let place = Int(random.next() % UInt64(elements.count))
            elements[place] = mutated(elements[place], &random)
            return .array(elements)
        case .object(var object) where !object.isEmpty:
            let entry = object.entries[Int(random.next() % UInt64(object.count))]
            object[entry.key] = mutated(entry.value, &random)
            return .object(object)
        default:
            return strange[Int(random.next() % UInt64(strange.count))]
        }
    }
}

/// A small generator with a seed, so that every run tries the same changes.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
