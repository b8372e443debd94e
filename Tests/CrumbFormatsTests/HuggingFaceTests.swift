import CrumbFormats
import CrumbJSON
import CrumbTensor
import CrumbTestSupport
import Testing

private let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]

/// A folder with two shards of one tensor each (a in the first, b in the second) and no index.
private func shardedFolder(index: JSONValue?) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write("config.json", ["model_type": "llama"])
    for (name, shard) in zip(["a", "b"], shards) {
        let layout = try #require(TensorLayout(name: name, type: .u8, shape: [8]))
        let writer = try SafetensorsWriter(path: "\(folder.path)/\(shard)", tensors: [layout])
        try writer.append(HeapBuffer(byteCount: 8).tensor(name, .u8, [8]))
        try writer.finish()
    }
    if let index { try folder.write("model.safetensors.index.json", index) }
    return folder
}

private func singleFolder(_ configuration: JSONValue) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write("config.json", configuration)
    try SafetensorsWriter(path: "\(folder.path)/model.safetensors", tensors: []).finish()
    return folder
}

@Suite struct HuggingFaceTests {
    @Test func `a sharded folder is read through its index`() throws {
        let folder = try shardedFolder(index: [
            "metadata": ["total_size": 16], "weight_map": ["a": .string(shards[0]), "b": .string(shards[1])],
        ])
        let checkpoint = try CheckpointReader.open(folder.path)
        #expect(checkpoint.formatName == "Hugging Face")
        #expect(checkpoint.tensorNames == ["a", "b"])
        #expect(try checkpoint.tensor("b").shape == [8])
        #expect(try checkpoint.tensorLayout("a").byteCount == 8)
        #expect(!checkpoint.hasTensor("c"))
        try checkpoint.checkUnchanged()
        let error = try #require(throws: FormatError.self) { _ = try checkpoint.tensor("c") }
        #expect(error.description == "\(folder.path): the tensor c is missing from the weights.")
    }

    @Test(
        arguments: [
            (["weight_map": [:]], "has no weight_map"), ([:], "has no weight_map"),
            (["weight_map": ["a": 1]], "names no safetensors file"),
            (["weight_map": ["a": "pytorch_model.bin"]], "names no safetensors file"),
            (["weight_map": ["a": "../x.safetensors"]], "is no plain file name"),
            (["weight_map": ["a": "/etc/x.safetensors"]], "no plain file name"),
            (["weight_map": ["a": "d/x.safetensors"]], "no plain file name"),
            (["weight_map": ["a": "x\\y.safetensors"]], "no plain file name"),
            (["weight_map": ["a": "none.safetensors"]], "the file none.safetensors is missing"),
            (["weight_map": ["a": "outside.safetensors"]], "is a link out of its folder"),
            (["weight_map": ["a": .string(shards[1]), "b": .string(shards[0])]], "which the index places in"),
            (["weight_map": ["a": .string(shards[0])]], nil),
            (["weight_map": ["a": .string(shards[0]), "b": .string(shards[0])]], "a shard that does not hold it"),
            (
                ["weight_map": ["a": .string(shards[0]), "c": .string(shards[1])]],
                "holds b, which the index places in no shard"
            ),
            (
                ["metadata": ["total_size": 17], "weight_map": ["a": .string(shards[0]), "b": .string(shards[1])]],
                "is 17, but the tensors take 16"
            ),
            (
                ["metadata": ["total_size": -1], "weight_map": ["a": .string(shards[0]), "b": .string(shards[1])]],
                "not a number of bytes"
            ),
        ] as [(JSONValue, String?)])
    func `an index that lies is refused with a sentence`(index: JSONValue, reason: String?) throws {
        let folder = try shardedFolder(index: index)
        let outside = try TemporaryFolder()
        try outside.write("x.safetensors", folder.read(shards[0]))
        folder.link("outside.safetensors", to: "\(outside.path)/x.safetensors")
        guard let reason else {
            #expect(try CheckpointReader.open(folder.path).tensorNames == ["a"])
            return
        }
        let error = try #require(throws: FormatError.self) { _ = try CheckpointReader.open(folder.path) }
        #expect(error.reason.contains(reason), "\(error)")
    }

    @Test(
        arguments: [
            (["quantization_config": ["quant_method": "gptq"]], "quantized by \"gptq\""),
            (["quantization_config": [:]], "quantized by null"), ([1], "not an object"),
        ] as [(JSONValue, String)])
    func `settings of no readable model are refused`(configuration: JSONValue, reason: String) throws {
        let folder = try singleFolder(configuration)
        let error = try #require(throws: FormatError.self) { _ = try CheckpointReader.open(folder.path) }
        #expect(error.path == "\(folder.path)/config.json")
        #expect(error.reason.contains(reason), "\(error)")
    }

    @Test func `settings pass on as they are, but code is never pointed to`() throws {
        let folder = try singleFolder([
            "model_type": "llama", "auto_map": ["AutoModel": "evil.py"], "head_dim": nil, "hidden_size": 64,
            "num_attention_heads": 4, "quantization_config": ["quant_method": "crumb"],
        ])
        try folder.write("generation_config.json", ["eos_token_id": [1, 2]])
        let checkpoint = try CheckpointReader.open(folder.path)
        #expect(
            checkpoint.configuration.entries.map(\.key) == [
                "model_type", "head_dim", "hidden_size", "num_attention_heads", "quantization_config",
            ])
        #expect(checkpoint.generationConfiguration == ["eos_token_id": [1, 2]])
    }

    @Test func `folders that lack a file are refused with the way out`() throws {
        let folder = try TemporaryFolder()
        func reason() throws -> String {
            try #require(throws: FormatError.self) { _ = try CheckpointReader.open(folder.path) }.reason
        }
        #expect(try reason().contains("holds no config.json"))
        try folder.write("config.json", [:])
        #expect(try reason().contains("holds neither model.safetensors nor model.safetensors.index.json"))
        try folder.write("pytorch_model.bin", [0])
        #expect(try reason().contains("could run code"))
        try folder.write("config.json", Array("{\"a\":}".utf8))
        #expect(throws: JSONError.self) { try CheckpointReader.open(folder.path) }
    }

    @Test func `tokenizer and chat template are found wherever they stand`() throws {
        let folder = try singleFolder(["model_type": "llama"])
        let checkpoint = try CheckpointReader.open(folder.path)
        #expect(throws: FormatError.self) { try checkpoint.tokenizerFiles }
        try folder.write("tokenizer.json", ["model": ["type": "BPE"]])
        func template() throws -> String? {
            guard case .huggingFace(let tokenizer, _, let template) = try checkpoint.tokenizerFiles else { return "?" }
            #expect(tokenizer["model"]?["type"] == "BPE")
            return template
        }
        #expect(try template() == nil)
        try folder.write(
            "tokenizer_config.json",
            ["chat_template": [["name": "tools", "template": "T"], ["name": "default", "template": "D"]]])
        #expect(try template() == "D")
        try folder.write("tokenizer_config.json", ["chat_template": "C", "bos_token": "<s>"])
        #expect(try template() == "C")
        try folder.write("chat_template.json", ["chat_template": "S"])
        #expect(try template() == "S")
        try folder.write("chat_template.jinja", Array("J\u{e9}".utf8))
        #expect(try template() == "J\u{e9}")
        try folder.write("chat_template.jinja", [0xFF])
        #expect(throws: FormatError.self) { try template() }
        try folder.write("special_tokens_map.json", ["bos_token": "other", "eos_token": "</s>"])
        try folder.write("chat_template.jinja", [])
        guard case .huggingFace(_, let settings, _) = try checkpoint.tokenizerFiles else { return }
        #expect(settings == ["chat_template": "C", "bos_token": "<s>", "eos_token": "</s>"])
    }
}
