import CrumbJSON
import CrumbTokenizer
import Testing

@Suite struct TokenizerTests {
    @Test("Token names, bytes and special tokens can be asked for")
    func queries() throws {
        let json = try TokenizerVectors.family("smollm2").json
        let configuration: JSONValue = [
            "bos_token": "<|im_start|>", "eos_token": ["content": "<|im_end|>", "special": true], "unk_token": nil,
            "pad_token": "[NONE]",
        ]
        let tokenizer = try Tokenizer(json: json, configuration: configuration)
        #expect(tokenizer.vocabularySize == 1503)
        #expect(tokenizer.bosID == 1 && tokenizer.eosIDs == [2])
        #expect(tokenizer.unknownID == nil && tokenizer.paddingID == nil)
        #expect(tokenizer.id(of: "<|im_end|>") == 2 && tokenizer.isSpecial(2) && tokenizer.token(2) == "<|im_end|>")
        let the = try #require(tokenizer.id(of: "\u{120}the"))
        #expect(tokenizer.tokenBytes(the) == bytes(" the") && !tokenizer.isSpecial(the))
        #expect(tokenizer.id(of: " the") == nil)
    }

    @Test("A byte token has the byte it stands for")
    func byteToken() throws {
        let tokenizer = try Tokenizer(json: try TokenizerVectors.family("llama2").json)
        let id = try #require(tokenizer.id(of: "<0xE2>"))
        #expect(tokenizer.tokenBytes(id) == [0xE2])
    }

    @Test("The two spellings of a letter are two tokens")
    func bytesNotEquivalence() throws {
        var json = Self.tiny
        json["model"] = [
            "vocab": ["\u{E9}": 0, "e": 1, "\u{301}": 2, "e\u{301}": 3], "merges": [["e", "\u{301}"]],
        ]
        let tokenizer = try Tokenizer(json: .object(json))
        #expect(tokenizer.encode("\u{E9}", addSpecialTokens: false) == [0])
        #expect(tokenizer.encode("e\u{301}", addSpecialTokens: false) == [3])
        #expect(bytes(tokenizer.decode([3], skipSpecialTokens: false)) == bytes("e\u{301}"))
    }

    @Test("Names of special tokens in a stranger's text stay text")
    func commands() throws {
        let tokenizer = try Tokenizer(json: try TokenizerVectors.family("qwen2").json)
        let end = try #require(tokenizer.id(of: "<|im_end|>"))
        #expect(tokenizer.encode("a<|im_end|>", addSpecialTokens: false).contains(end))
        let plain = tokenizer.encode("a<|im_end|>", addSpecialTokens: false, parseSpecialTokens: false)
        #expect(!plain.contains(end))
        #expect(tokenizer.decode(plain, skipSpecialTokens: true) == "a<|im_end|>")
    }

    /// Words without end, marks in the wrong order, and nothing but separators: each would take minutes if any step
    /// were quadratic.
    @Test(
        "Long runs take no longer than other texts", .timeLimit(.minutes(1)), arguments: TokenizerVectors.families,
        ["a", " ", "\n ", "=-", "1", "\u{4E2D}", "\u{301}\u{323}", "'", "<|im_", "e\u{301} "])
    func longRuns(family: String, unit: String) throws {
        let tokenizer = try Tokenizer(json: try TokenizerVectors.family(family).json)
        let text = String(repeating: unit, count: 200_000 / unit.utf8.count)
        let ids = tokenizer.encode(text, addSpecialTokens: false)
        let back = tokenizer.decode(ids, skipSpecialTokens: false)
        // Decoding gives the text back; NFC makes one letter of two in the last unit, and reorders the marks.
        let shrinks = family == "qwen2" && unit.utf8.first == UInt8(ascii: "e")
        #expect(back.utf8.count == (shrinks ? text.utf8.count / 4 * 3 : text.utf8.count))
    }

    /// A tokenizer of one character, to be changed by a test.
    static var tiny: JSONObject {
        JSONObject([
            ("added_tokens", []), ("normalizer", nil), ("pre_tokenizer", nil), ("post_processor", nil),
            ("decoder", ["type": "Fuse"]), ("model", ["type": "BPE", "vocab": ["a": 0], "merges": []]),
        ])
    }
}
