import CrumbABI
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbTensor
import CrumbTestSupport

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
        var random = SeededGenerator(seed: UInt64(segments * 10 + headBits))
        let sizes = configuration
        let hiddenOrder = randomOrder(sizes.hiddenSize, segments: 1, &random)
        var layers: [LayerWeights] = []
        for _ in 0..<sizes.numHiddenLayers {
            let orders: [Projection: ChannelOrder] = [
                .o: randomOrder(sizes.queryFeatures, segments: segments, &random),
                .down: randomOrder(sizes.intermediateSize, segments: segments, &random),
            ]
            layers.append(
                try LayerWeights(inputNorm: randomNorm(&random), postAttentionNorm: randomNorm(&random)) { projection in
                    let (rows, columns) = sizes.shape(of: projection)
                    let order = orders[projection]
                    return LinearWeight(
                        name: projection.name,
                        storage: .packed(
                            try randomPacked(
                                rows, columns, segments: order == nil ? 1 : segments, order: order ?? hiddenOrder,
                                // q, k and v share an order, but not the share of 4-bit channels.
                                fourBitChannels: projection == .v ? 0 : 64, &random)),
                        bias: biases ? (0..<rows).map { _ in random.symmetric() } : nil)
                })
        }
        let head = LinearWeight(
            name: "head",
            storage: .grouped(try randomGrouped(sizes.vocabSize, sizes.hiddenSize, bits: headBits, &random)))
        weights = DecoderWeights(embedding: head, layers: layers, finalNorm: randomNorm(&random), head: head)
        tokens = (0..<45).map { _ in Int32.random(in: 0..<77, using: &random) }

        func randomNorm(_ random: inout SeededGenerator) -> [Float] {
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

/// Each segment's channels in random order, padding last.
func randomOrder(_ columns: Int, segments: Int, _ random: inout SeededGenerator) -> ChannelOrder {
    let width = columns / segments
    let padding = (width + 63) / 64 * 64 - width
    return ChannelOrder(
        (0..<segments).flatMap { segment in
            (segment * width..<(segment + 1) * width).shuffled(using: &random).map { UInt16($0) }
                + [UInt16](repeating: UInt16(CRUMB_PADDING_CHANNEL), count: padding)
        })
}

/// Random codes, scales and outliers with weights of about 1 / sqrt(columns).
func randomPacked(
    _ rows: Int, _ columns: Int, segments: Int, order: ChannelOrder, fourBitChannels: Int,
    _ random: inout SeededGenerator
) throws -> PackedMatrix {
    guard
        let shape = crumb_packed_shape(
            rows: rows, columns: columns, segments: segments, fourBitChannels: fourBitChannels, outliersPerTile: 3)
    else { throw PackedError("no shape for (\(rows), \(columns))") }
    var matrix = QuantizedMatrix(shape: shape)
    for index in matrix.codes.indices {
        matrix.codes[index] = UInt8.random(
            in: matrix.isFourBit(index % shape.orderCount) ? 0...15 : 0...3, using: &random)
    }
    for index in matrix.scaleCodes.indices { matrix.scaleCodes[index] = UInt8.random(in: 0...15, using: &random) }
    for index in matrix.rowScales.indices {
        // 4-bit levels reach 7.5, 2-bit levels 1.5.
        matrix.rowScales[index] = halfBits(Float(columns).squareRoot() / Float(columns) / (index % 2 == 0 ? 40 : 8))
    }
    for segment in 0..<segments where shape.twoBitChannels > 0 {
        for row in 0..<rows where row % 16 == 0 {
            let channel = shape.fourBitChannels + Int.random(in: 0..<shape.twoBitChannels, using: &random)
            matrix.outliers.append(
                Outlier(
                    row: row, position: segment * shape.segmentChannels + channel,
                    delta: halfBits(0.3 * random.symmetric())))
        }
    }
    let buffer = try BlockPacker.pack(matrix)
    return try PackedMatrix(shape: shape, records: buffer.tensor("random", .u8, [shape.byteCount]), order: order)
}

private func randomGrouped(
    _ rows: Int, _ columns: Int, bits: Int, _ random: inout SeededGenerator
) throws -> GroupedMatrix {
    let codes = HeapBuffer(byteCount: rows * columns * bits / 8)
    let scales = HeapBuffer(byteCount: rows * columns / 16)
    for index in codes.mutableBytes.indices { codes.mutableBytes[index] = UInt8.random(in: 0...255, using: &random) }
    for index in 0..<rows * columns / 32 {
        let scale = Float.random(in: 0.5...1, using: &random) / (bits == 8 ? 127 : 7)
        scales.mutableBytes.storeBytes(of: halfBits(scale), toByteOffset: 2 * index, as: UInt16.self)
    }
    return try GroupedMatrix(
        bits: bits, codes: codes.tensor("codes", bits == 8 ? .i8 : .u8, [rows, columns * bits / 8]),
        scales: scales.tensor("scales", .f16, [rows, columns / 32]))
}
