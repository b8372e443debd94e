import CrumbCPU
import CrumbEngine
import CrumbJSON
import CrumbModel
import CrumbTensor

/// A decoder with random weights, small enough for the plain backend.
func tinyDecoder(seed: UInt64, vocabulary: Int = 50) throws -> DecoderForward {
    let keys: JSONObject = [
        "model_type": "llama", "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 2048,
        "vocab_size": JSONValue(vocabulary), "rms_norm_eps": 1e-5, "tie_word_embeddings": false,
    ]
    let configuration = try ModelConfiguration(keys, source: "tiny")
    let weights = try DecoderWeights(configuration, from: RandomWeights(configuration: configuration, seed: seed))
    return DecoderForward(configuration, weights: weights, backend: ReferenceBackend())
}

private struct RandomWeights: WeightSource {
    let path = "memory"
    let configuration: ModelConfiguration
    let seed: UInt64

    func storage(_ name: String) throws -> LinearWeight.Storage {
        let projection = Projection.allCases.first { name.hasSuffix($0.name) }
        let (rows, columns) =
            projection.map { configuration.shape(of: $0) } ?? (configuration.vocabSize, configuration.hiddenSize)
        let buffer = HeapBuffer(byteCount: rows * columns * 4)
        var random = RandomSource(seed: seed ^ name.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) })
        let numbers = buffer.mutableBytes.bindMemory(to: Float.self)
        for index in numbers.indices { numbers[index] = Float(random.uniform() - 0.5) }
        return .dense(buffer.tensor(name, .f32, [rows, columns]))
    }

    func vector(_ name: String, count: Int) throws -> [Float] { [Float](repeating: 1, count: count) }
}

/// `count` tokens below `vocabulary`.
func randomTokens(_ count: Int, seed: UInt64, vocabulary: Int = 50) -> [Int32] {
    var random = RandomSource(seed: seed)
    return (0..<count).map { _ in Int32(random.integer(below: vocabulary)) }
}
