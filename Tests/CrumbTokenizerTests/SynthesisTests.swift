import CrumbJSON
import CrumbTokenizer
import Testing

/// Tokenizer files made from GGUF metadata.
@Suite struct SynthesisTests {
    /// What a GGUF file would hold for a family's tokenizer.
    private func arrays(_ family: String) throws -> (GGUFVocabularyArrays, JSONValue) {
        let json = try TokenizerVectors.family(family).json
        let vocabulary = json["model"]?["vocab"]?.object?.entries ?? []
        let added = json["added_tokens"]?.array ?? []
        var tokens: [Int: (String, Int)] = [:]
        for (token, id) in vocabulary { tokens[try #require(id.int)] = (token, token.hasPrefix("<0x") ? 6 : 1) }
        for token in added {
            let isSpecial = token["special"]?.bool == true
            tokens[try #require(token["id"]?.int)] = (try #require(token["content"]?.string), isSpecial ? 3 : 4)
        }
        let order = tokens.keys.sorted()
        var arrays = GGUFVocabularyArrays(model: family == "llama2" ? "llama" : "gpt2", tokens: [])
        for id in order {
            arrays.tokens.append(try #require(tokens[id]).0)
        }
        arrays.tokenTypes = order.map { tokens[$0]?.1 ?? 0 }
        let pre = ["gpt2": "gpt-2", "smollm2": "smollm", "llama3": "llama-bpe", "qwen2": "qwen2", "llama2": "default"]
        arrays.preTokenizer = pre[family]
        if family == "llama2" {
            arrays.scores = order.map { $0 < 259 ? 0 : -Float($0) }
            arrays.unknownID = 0
            arrays.tokenTypes?[0] = 2
        } else {
            arrays.merges = json["model"]?["merges"]?.array?.compactMap(\.string)
        }
        let bos = ["llama3": "<|begin_of_text|>", "llama2": "<s>"][family] ?? "<|endoftext|>"
        arrays.bosID = arrays.tokens.firstIndex(of: bos)
        arrays.eosID = arrays.tokens.count - 1
        return (arrays, json)
    }

    @Test("Files made from GGUF metadata give the ids and texts of the original", arguments: TokenizerVectors.families)
    func sameIDs(family: String) throws {
        var (arrays, _) = try arrays(family)
        arrays.tokens += ["[PAD\(arrays.tokens.count)]", "filler"]
        arrays.tokenTypes? += [4, 5]
        arrays.scores? += [0, 0]
        arrays.chatTemplate = "{{ messages }}"
        arrays.contextLength = 2048
        let files = try TokenizerJSON.synthesize(arrays)
        let tokenizer = try Tokenizer(json: files.tokenizer, configuration: files.configuration)
        for entry in try TokenizerVectors.family(family).cases {
            #expect(tokenizer.encode(entry.text, addSpecialTokens: true) == entry.ids, "\(entry.text.debugDescription)")
            #expect(bytes(tokenizer.decode(entry.ids, skipSpecialTokens: true)) == bytes(entry.clean))
        }
        #expect(tokenizer.vocabularySize == arrays.tokens.count - 2, "fillers are left out")
        #expect(tokenizer.bosID.map(Int.init) == arrays.bosID)
        #expect(tokenizer.eosIDs.map(Int.init) == [try #require(arrays.eosID)])
        #expect(files.configuration["chat_template"] == "{{ messages }}")
        #expect(files.configuration["model_max_length"] == 2048)
    }

    @Test("Merges derived from scores are those of Hugging Face's conversion, in its order")
    func derivedMerges() throws {
        let (arrays, json) = try arrays("llama2")
        let made = try TokenizerJSON.synthesize(arrays).tokenizer
        #expect(try #require(made["model"]?["merges"]?.array).count > 1000)
        #expect(made["model"]?["merges"] == json["model"]?["merges"])
        #expect(made["normalizer"] == json["normalizer"] && made["decoder"] == json["decoder"])
    }

    @Test("A text gets the BOS and EOS tokens that the file asks for", arguments: [false, true], [false, true])
    func startAndEnd(addsBOS: Bool, addsEOS: Bool) throws {
        for family in ["gpt2", "llama2"] {
            var (arrays, _) = try arrays(family)
            arrays.addBOS = addsBOS
            arrays.addEOS = addsEOS
            let files = try TokenizerJSON.synthesize(arrays)
            let tokenizer = try Tokenizer(json: files.tokenizer, configuration: files.configuration)
            let plain = tokenizer.encode("a b", addSpecialTokens: false)
            let expected =
                (addsBOS ? [try #require(tokenizer.bosID)] : []) + plain + (addsEOS ? tokenizer.eosIDs : [])
            #expect(tokenizer.encode("a b", addSpecialTokens: true) == expected)
            #expect(files.configuration["add_bos_token"] == .bool(addsBOS))
        }
    }

    @Test("Without add_space_prefix a text keeps its start")
    func noSpacePrefix() throws {
        var (arrays, _) = try arrays("llama2")
        arrays.addSpacePrefix = false
        let tokenizer = try Tokenizer(json: try TokenizerJSON.synthesize(arrays).tokenizer)
        let ids = tokenizer.encode(" the", addSpecialTokens: false)
        #expect(ids == [try #require(tokenizer.id(of: "\u{2581}the"))])
        #expect(tokenizer.decode(ids, skipSpecialTokens: false) == " the")
    }

    struct Fault: Sendable, CustomTestStringConvertible {
        let sentence: String
        let spoil: @Sendable (inout GGUFVocabularyArrays) -> Void
        var testDescription: String { sentence }
    }

    static let faults: [Fault] = [
        Fault(sentence: "tokenizer.ggml.tokens: there are 0 tokens") { $0.tokens = [] },
        Fault(sentence: "tokenizer.ggml.tokens: token \"a\" has the ids") { $0.tokens[1400] = "a" },
        Fault(sentence: "tokenizer.ggml.scores: there are 2 values for") { $0.scores = [0, 1] },
        Fault(sentence: "tokenizer.ggml.scores: a \"llama\" tokenizer needs scores") { $0.scores = nil },
        Fault(sentence: "tokenizer.ggml.scores: the score of token 300 is nan") { $0.scores?[300] = .nan },
        Fault(sentence: "tokenizer.ggml.token_type: there are 1 values for") { $0.tokenTypes = [1] },
        Fault(sentence: "tokenizer.ggml.token_type: token 5 has type 9") { $0.tokenTypes?[5] = 9 },
        Fault(sentence: "tokenizer.ggml.bos_token_id: the id is -1") { $0.bosID = -1 },
        Fault(sentence: "tokenizer.ggml.eos_token_id: the id is 99999") { $0.eosID = 99_999 },
        Fault(sentence: "tokenizer.ggml.bos_token_id: the id is missing") { $0.bosID = nil },
        Fault(sentence: "tokenizer.ggml.model: the tokenizer model \"bert\" is not known") { $0.model = "bert" },
        Fault(sentence: "tokenizer.ggml.merges: a \"gpt2\" tokenizer needs merges") { $0.model = "gpt2" },
        Fault(sentence: "tokenizer.ggml.pre: the pre-tokenizer \"tekken\" is not known") {
            $0.model = "gpt2"
            $0.preTokenizer = "tekken"
        },
    ]

    @Test("Metadata that contradicts itself is refused in one sentence", arguments: faults)
    func refused(fault: Fault) throws {
        var (arrays, _) = try arrays("llama2")
        fault.spoil(&arrays)
        let error = try #require(throws: TokenizerError.self) { try TokenizerJSON.synthesize(arrays) }
        #expect(error.description.hasPrefix(fault.sentence), "\(error)")
    }
}
