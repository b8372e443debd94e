import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbTensor
import Testing

/// Tensors in memory.
private struct MemoryCheckpoint: Checkpoint {
    var tensors: [(name: String, type: StorageType, shape: [Int])]
    /// What every number of an f32 tensor is.
    var value: Float = 0.5

    var path: String { "memory" }
    var formatName: String { "memory" }
    var configuration: JSONObject { JSONObject() }
    var generationConfiguration: JSONObject? { nil }
    var tensorNames: [String] { tensors.map(\.name) }
    var tokenizerFiles: TokenizerFiles {
        get throws { throw FormatError(path: path, reason: "has no tokenizer") }
    }

    func tensorLayout(_ name: String) throws -> TensorLayout {
        guard let tensor = tensors.first(where: { $0.name == name }),
            let layout = TensorLayout(name: name, type: tensor.type, shape: tensor.shape)
        else { throw FormatError(path: path, reason: "has no tensor \(name)") }
        return layout
    }

    func tensor(_ name: String) throws -> TensorView {
        let layout = try tensorLayout(name)
        let buffer = HeapBuffer(byteCount: layout.byteCount)
        if layout.type == .f32 {
            for offset in stride(from: 0, to: layout.byteCount, by: 4) {
                buffer.mutableBytes.storeBytes(of: value, toByteOffset: offset, as: Float.self)
            }
        }
        return buffer.tensor(name, layout.type, layout.shape)
    }

    func checkUnchanged() throws {}
}

@Suite struct DecoderWeightsTests {
    private static func configuration(tied: Bool) throws -> ModelConfiguration {
        try ModelConfiguration(
            [
                "model_type": "qwen2", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
                "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 5, "max_position_embeddings": 16,
                "tie_word_embeddings": .bool(tied),
            ], source: "memory")
    }

    private static func checkpoint() -> MemoryCheckpoint {
        let layer = "model.layers.0."
        return MemoryCheckpoint(tensors: [
            ("model.embed_tokens.weight", .f32, [5, 8]), ("model.norm.weight", .f32, [8]),
            ("lm_head.weight", .f16, [5, 8]),
            (layer + "input_layernorm.weight", .f32, [8]), (layer + "post_attention_layernorm.weight", .f32, [8]),
            (layer + "self_attn.q_proj.weight", .f32, [8, 8]), (layer + "self_attn.q_proj.bias", .f32, [8]),
            (layer + "self_attn.k_proj.weight", .f32, [4, 8]), (layer + "self_attn.k_proj.bias", .f32, [4]),
            (layer + "self_attn.v_proj.weight", .f32, [4, 8]), (layer + "self_attn.v_proj.bias", .f32, [4]),
            (layer + "self_attn.o_proj.weight", .f32, [8, 8]), (layer + "mlp.gate_proj.weight", .f32, [12, 8]),
            (layer + "mlp.up_proj.weight", .f32, [12, 8]), (layer + "mlp.down_proj.weight", .f32, [8, 12]),
        ])
    }

    private func load(tied: Bool = false, _ change: (inout MemoryCheckpoint) -> Void = { _ in }) throws
        -> DecoderWeights
    {
        var checkpoint = Self.checkpoint()
        change(&checkpoint)
        return try DecoderWeights(Self.configuration(tied: tied), from: CheckpointWeights(checkpoint))
    }

    @Test func everyWeightIsLoaded() throws {
        let weights = try load()
        #expect(weights.layers[0][.q].bias == [Float](repeating: 0.5, count: 8))
        #expect(weights.layers[0][.o].bias == nil)
        #expect(weights.layers[0][.down].columns == 12)
        #expect(weights.head.name == "lm_head")
        #expect(weights.bytesPerToken == 4 * (8 * 8 * 2 + 4 * 8 * 2 + 3 * 8 * 12) + 2 * 5 * 8)
    }

    @Test func tiedWeightsNeedNoHead() throws {
        let weights = try load(tied: true) { $0.tensors.removeAll { $0.name == "lm_head.weight" } }
        #expect(weights.head.name == "model.embed_tokens")
    }

    @Test func aMissingTensorIsNamed() {
        let error = #expect(throws: FormatError.self) {
            try load { $0.tensors.removeAll { $0.name == "model.layers.0.mlp.up_proj.weight" } }
        }
        #expect(error.map { "\($0)".contains("model.layers.0.mlp.up_proj.weight") } == true)
    }

    @Test(arguments: [
        (
            5, StorageType.f32, [8, 9],
            "memory: model.layers.0.self_attn.q_proj is (8, 9), but the configuration asks for (8, 8)"
        ),
        (5, .f32, [64], "memory: model.layers.0.self_attn.q_proj.weight has shape [64], but a matrix belongs there"),
        (5, .i8, [8, 8], "memory: model.layers.0.self_attn.q_proj.weight is stored as i8, which is no weight type"),
        (6, .f32, [7], "memory: model.layers.0.self_attn.q_proj.bias is f32 of shape [7], but 8 weights belong there"),
        (1, .u8, [8], "memory: model.norm.weight is u8 of shape [8], but 8 weights belong there"),
    ])
    func aTensorOfTheWrongShapeOrTypeIsNamed(index: Int, type: StorageType, shape: [Int], message: String) {
        let error = #expect(throws: ModelError.self) {
            try load {
                $0.tensors[index].type = type
                $0.tensors[index].shape = shape
            }
        }
        #expect(error?.description == message)
    }

    @Test func aNormThatIsNotFiniteIsAnError() {
        let error = #expect(throws: ModelError.self) { try load { $0.value = .nan } }
        #expect(error?.description.contains("holds a number that is not finite") == true)
    }

    @Test func groupedRowsAreScaledCodes() throws {
        let codes = HeapBuffer(byteCount: 2 * 32)
        let scales = HeapBuffer(byteCount: 2 * 2 * 2)
        for index in 0..<64 { codes.mutableBytes[index] = UInt8(index % 16) | UInt8(15 - index % 16) << 4 }
        for index in 0..<4 {
            scales.mutableBytes.storeBytes(of: halfBits(Float(index + 1)), toByteOffset: 2 * index, as: UInt16.self)
        }
        let matrix = try GroupedMatrix(
            bits: 4, codes: codes.tensor("codes", .u8, [2, 32]), scales: scales.tensor("scales", .f16, [2, 2]))
        #expect(matrix.rows == 2 && matrix.columns == 64)
        var row = [Float](repeating: 0, count: 64)
        matrix.dequantizeRow(1, into: &row)
        // Byte 32 holds the codes of channels 0 and 1: 0 and 15. Byte 50, channels 36 and 37, holds 2 and 13.
        #expect(row[0] == -8 * 3 && row[1] == 7 * 3)
        #expect(row[36] == -6 * 4 && row[37] == 5 * 4)
        #expect(throws: ModelError.self) {
            try GroupedMatrix(
                bits: 8, codes: codes.tensor("codes", .u8, [2, 32]), scales: scales.tensor("scales", .f16, [2, 2]))
        }
        #expect(throws: ModelError.self) {
            try GroupedMatrix(
                bits: 4, codes: codes.tensor("codes", .u8, [2, 32]), scales: scales.tensor("scales", .f16, [4, 1]))
        }
    }
}
