import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbTensor
import Foundation

/// A tiny random model and its logits from Hugging Face transformers; `Scripts/vectors/logits.py` makes them.
struct LogitVector {
    static let names = [
        "llama-mha", "llama-gqa-tied", "llama3-rope", "llama-mqa-linear", "mistral-window", "qwen2-gqa-tied",
        "qwen2-mqa-window",
    ]

    let configuration: ModelConfiguration
    let weights: DecoderWeights
    let tokens: [Int32]
    /// (tokens, vocabSize) row-major.
    let logits: [Float]

    init(_ name: String) throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Vectors/logits/\(name)")
        let checkpoint = try CheckpointReader.open(folder.path())
        configuration = try ModelConfiguration(checkpoint.configuration, source: name)
        weights = try DecoderWeights(configuration, from: SinglePrecision(base: CheckpointWeights(checkpoint)))
        let json = try JSON.parse([UInt8](Data(contentsOf: folder.appending(path: "tokens.json"))), source: name)
        tokens = (json.array ?? []).compactMap { $0.int.map { Int32($0) } }
        logits = try Data(contentsOf: folder.appending(path: "logits.f32")).withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
    }

    /// Largest difference to the expected logits, as a share of their range.
    func worst(_ result: [Float]) -> Float { largestDifference(result, logits) }

    func forward(_ backend: any Backend) -> DecoderForward {
        DecoderForward(configuration, weights: weights, backend: backend)
    }

    func cache(_ element: KVCache.Element = .float) throws -> KVCache {
        try KVCache(configuration, capacity: configuration.maxPositionEmbeddings, element: element)
    }

    /// Logits of all tokens, in one pass or in passes of so many tokens.
    func run(_ backend: any Backend, cache element: KVCache.Element = .float, blocks: [Int]? = nil) throws -> [Float] {
        let forward = forward(backend)
        let cache = try cache(element)
        var rest = tokens[...]
        var logits: [Float] = []
        for count in blocks ?? [tokens.count] {
            logits += try forward.logits(for: Batch(Array(rest.prefix(count)), cache: cache, logits: .all)).array
            rest = rest.dropFirst(count)
        }
        return logits
    }
}

/// Largest difference, as a share of the range of `expected`.
func largestDifference(_ result: [Float], _ expected: [Float]) -> Float {
    guard result.count == expected.count, let low = expected.min(), let high = expected.max() else { return .infinity }
    let worst = zip(result, expected).map { abs($0 - $1) }.max() ?? .infinity
    return worst.isFinite ? worst / (high - low) : .infinity
}

/// The same weights turned into fp32, as the vectors' fp32 run had them.
private struct SinglePrecision: WeightSource {
    let path = "memory"
    let base: CheckpointWeights

    func storage(_ name: String) throws -> LinearWeight.Storage {
        let weight = LinearWeight(name: name, storage: try base.storage(name))
        return .dense(weight.singlePrecision)
    }

    func vector(_ name: String, count: Int) throws -> [Float] { try base.vector(name, count: count) }
}

extension LinearWeight {
    /// The dequantized matrix as an f32 tensor.
    var singlePrecision: TensorView {
        let buffer = HeapBuffer(byteCount: rows * columns * 4)
        let floats = buffer.mutableBytes.assumingMemoryBound(to: Float.self)
        let reader = WeightRows(self)
        if let base = floats.baseAddress {
            for n in 0..<rows { reader.read(n, into: base + n * columns) }
        }
        return buffer.tensor(name, .f32, [rows, columns])
    }
}
