import CrumbABI
import CrumbCPU
import CrumbCUDA
import CrumbGPU
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbTensor
import CrumbTestSupport
import CrumbThreads

/// A small random decoder whose sizes the GPU's kernels serve, and its logits on the CPU.
struct SmallModel {
    var segments = 1
    var isPacked = true
    /// 16, 8 or 4.
    var headBits = 8
    var tied = true
    var hasBiases = false
    /// Latest positions that tokens see in the first layer; 0 for all.
    var window = 0
    var type = StorageType.f32
    /// Sets a weight of the untied fp16 head to NaN.
    var breaksHead = false
    var seed: UInt64 = 1

    static let vocabulary = 83

    func configuration() throws -> ModelConfiguration {
        var keys: JSONObject = [
            "model_type": "llama", "hidden_size": 96, "intermediate_size": 176, "num_hidden_layers": 3,
            "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32,
            "vocab_size": JSONValue(Self.vocabulary),
            "max_position_embeddings": 256, "attention_bias": .bool(hasBiases), "mlp_bias": .bool(hasBiases),
            "tie_word_embeddings": .bool(tied), "rms_norm_eps": 1e-5,
        ]
        if window > 0 {
            keys["model_type"] = "mistral"
            keys["sliding_window"] = JSONValue(window)
        }
        return try ModelConfiguration(keys, source: "random")
    }

    func weights(_ sizes: ModelConfiguration) throws -> DecoderWeights {
        var random = SeededGenerator(seed: seed)
        func norm() -> [Float] { (0..<sizes.hiddenSize).map { _ in 1 + 0.2 * random.symmetric() } }
        let layers = try (0..<sizes.numHiddenLayers).map { layer in
            // Orders differ from layer to layer, and so does their padding.
            let fourBit = layer % 2 == 0 ? 64 : 32
            let hiddenOrder = randomOrder(sizes.hiddenSize, segments: 1, fourBit: fourBit, &random)
            let mlpOrder = randomOrder(sizes.hiddenSize, segments: 1, fourBit: fourBit, &random)
            let outputOrder = randomOrder(sizes.queryFeatures, segments: segments, fourBit: 32, &random)
            let downOrder = randomOrder(sizes.intermediateSize, segments: segments, fourBit: 32, &random)
            return try LayerWeights(inputNorm: norm(), postAttentionNorm: norm()) { projection in
                let (rows, columns) = sizes.shape(of: projection)
                let name = "layer \(layer) \(projection.name)"
                let bias = sizes.biases.contains(projection) ? (0..<rows).map { _ in random.symmetric() } : nil
                guard isPacked else {
                    return LinearWeight(
                        name: name, storage: .dense(randomDense(name, rows, columns, type, &random)), bias: bias)
                }
                let (order, cut, four): (ChannelOrder, Int, Int) =
                    switch projection {
                    case .q, .k, .v: (hiddenOrder, 1, fourBit)
                    case .gate, .up: (mlpOrder, 1, fourBit)
                    case .o: (outputOrder, segments, 32)
                    case .down: (downOrder, segments, 32)
                    }
                return LinearWeight(
                    name: name,
                    storage: .packed(
                        try randomPacked(rows, columns, segments: cut, order: order, fourBitChannels: four, &random)),
                    bias: bias)
            }
        }
        func table(_ name: String) throws -> LinearWeight {
            let (rows, columns) = (sizes.vocabSize, sizes.hiddenSize)
            return LinearWeight(
                name: name,
                storage: headBits == 16
                    ? .dense(randomDense(name, rows, columns, type, &random, isBroken: breaksHead && name == "head"))
                    : .grouped(try randomGrouped(rows, columns, bits: headBits, &random)))
        }
        let embedding = try table("embedding")
        let finalNorm = norm()
        return DecoderWeights(
            embedding: embedding, layers: layers, finalNorm: finalNorm, head: tied ? embedding : try table("head"))
    }

    /// The model on an emulated card and on the CPU.
    struct Pair {
        let gpu: GPUDecoder
        let cpu: DecoderForward

        /// The largest difference of logits to the CPU's, as a share of their range, over passes of the given tokens.
        func difference(_ passes: [[Int32]], capacity: Int = 200) throws -> Float {
            let caches = (try gpu.makeCache(capacity: capacity), try cpu.makeCache(capacity: capacity))
            return try passes.map { tokens in
                let expected = try cpu.logits(for: Batch(tokens, cache: caches.1, logits: .all)).array
                return largestDifference(
                    try gpu.logits(for: Batch(tokens, cache: caches.0, logits: .all)).array, expected)
            }.max() ?? 0
        }
    }

    func pair(hasBLAS: Bool = true, leavingOut: (String) -> Bool = { _ in false }) throws -> Pair {
        let sizes = try configuration()
        let weights = try weights(sizes)
        let library = try EmulatedCard.library(on: EmulatedCard.device(), leavingOut: leavingOut)
        return Pair(
            gpu: try GPUDecoder(
                sizes, weights: weights, library: library, blas: hasBLAS ? EmulatedBLAS.table() : nil,
                pool: ThreadPool(threadCount: 2)),
            cpu: DecoderForward(sizes, weights: weights, backend: ReferenceBackend()))
    }
}

/// Largest difference, as a share of the range of `expected`.
func largestDifference(_ result: [Float], _ expected: [Float]) -> Float {
    guard result.count == expected.count, let low = expected.min(), let high = expected.max() else { return .infinity }
    let largest = zip(result, expected).reduce(Float(0)) { worst, pair in
        pair.0.isFinite ? max(worst, abs(pair.0 - pair.1)) : .infinity
    }
    return largest / (high - low)
}

func randomTokens(_ count: Int, seed: UInt64) -> [Int32] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Int32.random(in: 0..<Int32(SmallModel.vocabulary), using: &random) }
}
