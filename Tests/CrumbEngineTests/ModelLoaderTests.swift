import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbTemplate
import CrumbTensor
import CrumbTokenizer
import Testing

struct ModelLoaderTests {
    /// The message of the error that loading `folder` throws.
    private func refusal(_ folder: TinyFolder) -> String {
        do {
            _ = try folder.load()
            return "loaded"
        } catch {
            return "\(error)"
        }
    }

    @Test func aFolderGivesEverythingThatIsNeeded() throws {
        let folder = TinyFolder()
        folder.generationConfiguration = ["eos_token_id": [257, 260], "temperature": 0.5]
        let model = try folder.load()
        #expect(model.formatName == "Hugging Face")
        #expect(model.quantization == nil)
        #expect(model.configuration.hiddenSize == 128)
        #expect(model.endTokens == [257, 260])
        #expect(model.samplingDefaults.temperature == 0.5)
        #expect(model.chatTemplate != nil)
        #expect(model.beginningToken == 256)
    }

    @Test func theBeginningTokenIsPutInOnceAndOnlyWhereTheTokenizerPutsIt() throws {
        let model = try TinyFolder().load()
        #expect(model.encodePrompt("hi") == [256, 104, 105])
        #expect(model.encodePrompt("<s>hi") == [256, 104, 105])
        let plain = try TinyFolder(addsBOS: false).load()
        #expect(plain.beginningToken == nil)
        #expect(plain.encodePrompt("hi") == [104, 105])
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func weightsThatAreNotFiniteAreRefusedWithTensorAndRow(value: Float) {
        let folder = TinyFolder()
        var numbers = [Float](repeating: 0.5, count: 192 * 128)
        numbers[150 * 128 + 7] = value
        folder.set("model.layers.1.mlp.up_proj.weight", [192, 128], numbers)
        let message = refusal(folder)
        #expect(message.contains("model.layers.1.mlp.up_proj.weight") && message.contains("row 150"))
    }

    @Test func infinitiesInHalfPrecisionAreRefused() {
        for (type, bits) in [(.f16, 0x7C00), (.f16, 0xFE00), (.bf16, 0x7F80), (.bf16, 0xFFC1)]
            as [(StorageType, UInt16)]
        {
            let folder = TinyFolder()
            var halves = [UInt16](repeating: 0x3C00, count: 128 * 128)
            halves[128 * 128 - 1] = bits
            folder.tensors["model.layers.0.self_attn.q_proj.weight"] = TinyFolder.Tensor(
                type: type, shape: [128, 128], bytes: halves.withUnsafeBytes { Array($0) })
            #expect(refusal(folder).contains("row 127 of model.layers.0.self_attn.q_proj.weight"))
        }
    }

    @Test func aTokenizerLargerThanTheEmbeddingIsRefused() {
        let folder = TinyFolder()
        folder.configuration["vocab_size"] = 260
        folder.set("model.embed_tokens.weight", [260, 128], [Float](repeating: 0.1, count: 260 * 128))
        folder.set("lm_head.weight", [260, 128], [Float](repeating: 0.1, count: 260 * 128))
        let message = refusal(folder)
        #expect(message.contains("260") && message.contains("another model"))
    }

    @Test func anEndTokenOutsideTheVocabularyIsRefused() {
        let folder = TinyFolder()
        folder.generationConfiguration = ["eos_token_id": 264]
        #expect(refusal(folder).contains("eos_token_id"))
    }

    @Test func anUnknownArchitectureIsRefusedWithTheKnownOnes() {
        let folder = TinyFolder()
        folder.configuration["model_type"] = "gpt_bigcode"
        let message = refusal(folder)
        #expect(message.contains("gpt_bigcode") && message.contains("llama") && message.contains("qwen2"))
    }

    @Test func aMissingTensorIsNamed() {
        let folder = TinyFolder()
        folder.tensors["model.layers.1.mlp.down_proj.weight"] = nil
        #expect(refusal(folder).contains("model.layers.1.mlp.down_proj.weight"))
    }

    @Test func bothBackendsGiveTheSameGreedyText() throws {
        let options = GenerationOptions(maxTokens: 12, sampling: .greedy, ignoresEnd: true)
        let plain = try TinyFolder().load(backend: .reference).complete("Hello", options: options)
        let fast = try TinyFolder().load(backend: .simd).complete("Hello", options: options)
        #expect(plain.tokens == fast.tokens)
        #expect(plain.tokens.count == 12)
        #expect(plain.promptTokens == 6)
    }

    @Test func aContextOutOfRangeIsRefusedWithTheRange() throws {
        let model = try TinyFolder().load()
        for length in [1, 257] {
            let error = #expect(throws: EngineError.self) {
                try model.complete("Hello", options: GenerationOptions(), contextLength: length)
            }
            #expect(error?.description.contains("2 to 256") == true)
        }
    }

    @Test func aPromptThatFillsTheContextIsRefusedBeforeItIsRun() throws {
        let model = try TinyFolder().load()
        let error = #expect(throws: EngineError.self) {
            try model.complete("123456789", options: GenerationOptions(maxTokens: 3), contextLength: 10)
        }
        #expect(error?.description.contains("10 tokens") == true)
    }

    @Test func theAnswerFitsACacheOfJustItsSize() throws {
        let model = try TinyFolder().load()
        let options = GenerationOptions(maxTokens: 3, sampling: .greedy, ignoresEnd: true)
        let generation = try model.complete("12345", options: options, contextLength: 9)
        #expect(generation.tokens.count == 3)
        #expect(generation.finish == .maxTokens)
    }

    @Test func modelsWithOtherTokensCannotBeCompared() throws {
        let (first, second) = (TinyFolder(), TinyFolder(seed: 2))
        #expect(throws: Never.self) { try first.load().checkSameVocabulary(as: second.load()) }
        guard var entry = second.tokenizer["added_tokens"]?.array, case .object(var file) = second.tokenizer,
            var last = entry[4].object
        else { return }
        last["content"] = "<|model|>"
        entry[4] = .object(last)
        file["added_tokens"] = .array(entry)
        second.tokenizer = .object(file)
        let error = #expect(throws: EngineError.self) { try first.load().checkSameVocabulary(as: second.load()) }
        #expect(error?.description.contains("<|assistant|> in one and <|model|>") == true)
    }
}
