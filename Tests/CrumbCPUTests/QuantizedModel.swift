import CrumbJSON
import CrumbModel
import CrumbPacked

/// A small random llama whose linear layers are packed and whose embedding and head are grouped.
struct QuantizedModel {
    let configuration: ModelConfiguration
    let weights: DecoderWeights
    let tokens: [Int32]

    /// - Parameter headBits: 8 or 4.
    init(segments: Int, headBits: Int, biases: Bool) throws {
        configuration = try ModelConfiguration(
            [
                "model_type": "llama", "hidden_size": 96, "intermediate_size": 176, "num_hidden_layers": 2,
                "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 24, "vocab_size": 77,
                "max_position_embeddings": 64, "attention_bias": .bool(biases), "mlp_bias": .bool(biases),
            ], source: "random")
        var random = RandomStream(seed: UInt64(segments * 10 + headBits))
        let sizes = configuration
        let hiddenOrder = RandomWeights.order(sizes.hiddenSize, segments: 1, fourBit: 64, &random)
        var layers: [LayerWeights] = []
        for _ in 0..<sizes.numHiddenLayers {
            let orders: [Projection: ChannelOrder] = [
                .o: RandomWeights.order(sizes.queryFeatures, segments: segments, fourBit: 64, &random),
                .down: RandomWeights.order(sizes.intermediateSize, segments: segments, fourBit: 64, &random),
            ]
            layers.append(
                try LayerWeights(inputNorm: randomNorm(&random), postAttentionNorm: randomNorm(&random)) { projection in
                    let (rows, columns) = sizes.shape(of: projection)
                    let order = orders[projection]
                    return LinearWeight(
                        name: projection.name,
                        storage: .packed(
                            try RandomWeights.packed(
                                rows, columns, segments: order == nil ? 1 : segments, order: order ?? hiddenOrder,
                                // q, k and v share an order, but not the share of 4-bit channels.
                                fourBitChannels: projection == .v ? 0 : 64, &random)),
                        bias: biases ? (0..<rows).map { _ in random.symmetric() } : nil)
                })
        }
        let head = LinearWeight(
            name: "head",
            storage: .grouped(try RandomWeights.grouped(sizes.vocabSize, sizes.hiddenSize, bits: headBits, &random)))
        weights = DecoderWeights(embedding: head, layers: layers, finalNorm: randomNorm(&random), head: head)
        tokens = (0..<45).map { _ in Int32.random(in: 0..<77, using: &random) }

        func randomNorm(_ random: inout RandomStream) -> [Float] {
            (0..<sizes.hiddenSize).map { _ in 1 + 0.2 * random.symmetric() }
        }
    }

    /// Logits of all tokens in passes of `block` tokens.
    func run(_ backend: any Backend, block: Int) throws -> [Float] {
        let forward = DecoderForward(configuration, weights: weights, backend: backend)
        let cache = try KVCache(configuration, capacity: tokens.count, element: .float)
        return try stride(from: 0, to: tokens.count, by: block).flatMap { start in
            let part = Array(tokens[start..<min(start + block, tokens.count)])
            return try forward.logits(for: Batch(part, cache: cache, logits: .all)).array
        }
    }
}
