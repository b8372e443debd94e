import CrumbABI
import CrumbCUDA
package import CrumbModel

/// The sizes of a pass of tuning: M = texts x length tokens at a time.
package struct TuneSizes: Sendable {
    package let texts: Int
    /// L, tokens of a text.
    package let length: Int
    let hidden: Int
    let intermediate: Int
    let heads: Int
    let keyValueHeads: Int
    let headDim: Int
    let vocabulary: Int
    let layers: Int

    var tokens: Int { texts * length }
    var queryFeatures: Int { heads * headDim }
    /// Features of queries, keys and values together.
    var rowFeatures: Int { (heads + 2 * keyValueHeads) * headDim }
    /// Query heads of a KV head.
    var share: Int { heads / keyValueHeads }
    /// Numbers of all heads' scores.
    var scores: Int { texts * heads * length * length }

    /// Tokens whose logits are there at a time: 2,048 of them take 1.2 GB with 152,000 words.
    static let logitRows = 2048

    /// - Throws: `TuneError` for models that the operators do not cover, and for lengths the softmax is not made for.
    package init(_ configuration: ModelConfiguration, texts: Int, length: Int) throws(TuneError) {
        guard length % 8 == 0, length >= 8, texts >= 1 else {
            throw TuneError("texts of \(length) tokens cannot be tuned on: a multiple of 8 is needed")
        }
        guard length <= configuration.maxPositionEmbeddings, configuration.attentionWindows.allSatisfy({ $0 >= length })
        else {
            throw TuneError(
                "texts of \(length) tokens are longer than the model's context or attention window; give shorter ones")
        }
        guard configuration.biases.isSubset(of: [.q, .k, .v]) else {
            throw TuneError("the model has biases behind o, gate, up or down, which tuning does not cover")
        }
        self.texts = texts
        self.length = length
        hidden = configuration.hiddenSize
        intermediate = configuration.intermediateSize
        heads = configuration.numAttentionHeads
        keyValueHeads = configuration.numKeyValueHeads
        headDim = configuration.headDim
        vocabulary = configuration.vocabSize
        layers = configuration.numHiddenLayers
    }
}

extension TuneSizes {
    /// The most of `sequences` at a time that make whole passes of at most `tokens` tokens.
    ///
    /// - Throws: `TuneError` for sequences of different lengths, and as above.
    init(_ configuration: ModelConfiguration, sequences: [[Int32]], within tokens: Int) throws(TuneError) {
        let length = sequences.first?.count ?? 0
        guard sequences.allSatisfy({ $0.count == length }) else {
            throw TuneError("calibration texts of different lengths cannot be run on the GPU")
        }
        let most = min(max(tokens / max(length, 1), 1), sequences.count)
        let texts = (1...max(most, 1)).last { sequences.count % $0 == 0 } ?? 1
        try self.init(configuration, texts: texts, length: length)
    }
}

/// Why a model cannot be tuned, in one sentence.
package struct TuneError: Error, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
