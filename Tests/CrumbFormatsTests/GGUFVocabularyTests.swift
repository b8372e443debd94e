import CrumbFormats
import CrumbJSON
import CrumbTestSupport
import Testing

private func vocabulary(_ change: (inout GGUFBuilder) -> Void) throws -> GGUFVocabulary {
    var builder = GGUFBuilder()
    change(&builder)
    let folder = try TemporaryFolder()
    return try GGUFVocabulary(path: try folder.write("v.gguf", builder.file))
}

@Suite struct GGUFVocabularyTests {
    @Test func `a vocabulary is read with its kinds, ids and flags`() throws {
        let folder = try TemporaryFolder()
        let checkpoint = try CheckpointReader.open(try folder.write("m.gguf", GGUFBuilder.model("qwen2").file))
        guard case .gguf(let vocabulary) = try checkpoint.tokenizerFiles else {
            Issue.record("a GGUF file has a GGUF vocabulary")
            return
        }
        #expect(vocabulary.model == "gpt2")
        #expect(vocabulary.preTokenizer == "smollm")
        #expect(vocabulary.tokens.map { Array($0.utf8) }[3...4] == [[0xC3, 0xA9], [0x65, 0xCC, 0x81]])
        #expect(vocabulary.types == [.normal, .normal, .normal, .normal, .normal, .control])
        #expect(vocabulary.merges == ["a b"])
        #expect(vocabulary.eosTokenID == 2)
        #expect(vocabulary.bosTokenID == nil)
        #expect(vocabulary.addBOS == nil)
        #expect(vocabulary.endTokenIDs == [5])
        #expect(checkpoint.generationConfiguration == ["eos_token_id": [2, 5]])
    }

    @Test func `a SentencePiece vocabulary without tensors is read`() throws {
        let read = try vocabulary {
            $0.add("tokenizer.ggml.model", "llama")
            $0.add("tokenizer.ggml.tokens", ["<unk>", "<s>", "</s>", "<0x00>", "\u{2581}a"])
            $0.add("tokenizer.ggml.scores", [0, 0, 0, 0, -1.5] as [Float])
            $0.add("tokenizer.ggml.token_type", [2, 3, 3, 6, 1] as [Int32])
            $0.add("tokenizer.ggml.bos_token_id", UInt32(1))
            $0.add("tokenizer.ggml.eos_token_id", UInt32(2))
            $0.add("tokenizer.ggml.unknown_token_id", UInt32(0))
            $0.add("tokenizer.ggml.padding_token_id", UInt32.max)
            $0.add("tokenizer.ggml.add_bos_token", true)
            $0.add("tokenizer.ggml.add_space_prefix", false)
            $0.add("tokenizer.chat_template", "{{ messages }}")
        }
        #expect(read.model == "llama")
        #expect(read.scores == [0, 0, 0, 0, -1.5])
        #expect(read.types == [.unknown, .control, .control, .byte, .normal])
        #expect(read.preTokenizer == "default")
        #expect((read.bosTokenID, read.eosTokenID, read.unknownTokenID) == (1, 2, 0))
        #expect(read.paddingTokenID == nil)
        #expect(read.endTokenIDs.isEmpty)
        #expect(read.addBOS == true && read.addEOS == nil && read.addSpacePrefix == false)
        #expect(read.chatTemplate == "{{ messages }}")
    }

    @Test(arguments: [
        ("no model", "tokenizer.ggml.model is missing"), ("no tokens", "is missing or empty"),
        ("tokens of numbers", "element 0 of tokenizer.ggml.tokens is 7"),
        ("types too short", "has 1 elements, but there are 2 tokens"),
        ("an unknown kind", "element 1 of tokenizer.ggml.token_type is 9"),
        ("an id outside", "must be an integer from 0 to 1"),
        ("a score that is NaN", "the score of token 1 is not finite"),
        ("a flag that is a number", "must be true or false"),
        ("a template that is a number", "must be a string"),
    ])
    func `parts that disagree are refused by name`(name: String, reason: String) throws {
        let error = try #require(throws: FormatError.self) {
            _ = try vocabulary {
                if name != "no model" { $0.add("tokenizer.ggml.model", "gpt2") }
                switch name {
                case "no tokens": break
                case "tokens of numbers": $0.add("tokenizer.ggml.tokens", [7] as [Int32])
                default: $0.add("tokenizer.ggml.tokens", ["a", "b"])
                }
                switch name {
                case "types too short": $0.add("tokenizer.ggml.token_type", [1] as [Int32])
                case "an unknown kind": $0.add("tokenizer.ggml.token_type", [1, 9] as [Int32])
                case "an id outside": $0.add("tokenizer.ggml.bos_token_id", UInt32(2))
                case "a score that is NaN": $0.add("tokenizer.ggml.scores", [0, .nan] as [Float])
                case "a flag that is a number": $0.add("tokenizer.ggml.add_bos_token", UInt32(1))
                case "a template that is a number": $0.add("tokenizer.chat_template", UInt32(1))
                default: break
                }
            }
        }
        #expect(error.reason.contains(reason), "\(error)")
    }
}
