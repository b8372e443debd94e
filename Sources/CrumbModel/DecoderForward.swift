/// Runs a decoder on a batch of tokens: embedding, blocks, final norm, head.
///
/// `logits` and `hiddenStates` run all layers. The stages of a block can also be called one by one on the caller's
/// matrices, as a calibration does that replaces weights between them. One caller at a time.
package final class DecoderForward: Decoder {
    package let configuration: ModelConfiguration
    package let backend: any Backend
    /// Layer weights may be replaced between calls.
    package var weights: DecoderWeights

    private let rotary: RotaryTable
    /// The residual stream of the batch that was run last.
    private var lastHidden: FloatMatrix?
    private let hiddenBuffer = FloatBuffer()
    private let normedBuffer = FloatBuffer()
    private let projectedBuffer = FloatBuffer()
    private let mixedBuffer = FloatBuffer()
    private let logitsBuffer = FloatBuffer()

    package init(_ configuration: ModelConfiguration, weights: DecoderWeights, backend: any Backend) {
        self.configuration = configuration
        self.weights = weights
        self.backend = backend
        rotary = RotaryTable(configuration)
    }

    package var name: String { backend.name }
    package var bytesPerToken: Int { weights.bytesPerToken }

    package func makeCache(capacity: Int) throws -> any SequenceCache {
        try KVCache(configuration, capacity: capacity)
    }

    // MARK: whole passes

    package func run(_ batch: Batch) throws(ModelError) { lastHidden = try hiddenStates(for: batch) }

    package func logits(rows: Range<Int>) -> FloatMatrix {
        guard let lastHidden else { preconditionFailure("logits of a batch that was never run") }
        return logits(lastHidden.slice(rows: rows))
    }

    package func logits(for batch: Batch) throws(ModelError) -> FloatMatrix {
        let hidden = try hiddenStates(for: batch)
        // The wanted rows move to the front; they ascend, so no row is overwritten before it is read.
        for (index, row) in batch.logitRows.enumerated() where index != row {
            hidden.row(index).update(from: hidden.row(row), count: hidden.columns)
        }
        return logits(hidden.slice(rows: 0..<batch.logitRows.count))
    }

    /// Runs all layers and counts the tokens in their caches.
    ///
    /// - Returns: The residual stream after the last block, (M, hiddenSize), valid until the next call.
    /// - Throws: `ModelError` for a token outside the vocabulary.
    package func hiddenStates(for batch: Batch) throws(ModelError) -> FloatMatrix {
        let hidden = hiddenBuffer.matrix(rows: batch.count, columns: configuration.hiddenSize)
        try embed(batch.tokens, into: hidden)
        let normed = normedBuffer.matrix(rows: batch.count, columns: configuration.hiddenSize)
        for layer in weights.layers.indices {
            let attended = mixedBuffer.matrix(rows: batch.count, columns: configuration.queryFeatures)
            attentionInput(layer, hidden, into: normed)
            attentionOutput(layer, normed, batch, into: attended)
            addAttentionProjection(layer, attended, to: hidden)
            let activation = mixedBuffer.matrix(rows: batch.count, columns: configuration.intermediateSize)
            mlpInput(layer, hidden, into: normed)
            mlpActivation(layer, normed, into: activation)
            addMLPProjection(layer, activation, to: hidden)
        }
        for run in batch.runs { run.cache.advance(by: run.count) }
        return hidden
    }

    // MARK: stages

    /// The embeddings of `tokens` into (M, hiddenSize).
    ///
    /// - Throws: `ModelError` for a token outside the vocabulary.
    package func embed(_ tokens: [Int32], into hidden: FloatMatrix) throws(ModelError) {
        for token in tokens where token < 0 || Int(token) >= configuration.vocabSize {
            throw ModelError("token \(token) is outside the vocabulary of \(configuration.vocabSize) tokens")
        }
        backend.embed(tokens, table: weights.embedding, into: hidden)
    }

    /// The input of q, k and v: the first norm of the residual stream, (M, hiddenSize).
    package func attentionInput(_ layer: Int, _ hidden: FloatMatrix, into normed: FloatMatrix) {
        backend.normalize(
            hidden, weight: weights.layers[layer].inputNorm, epsilon: configuration.rmsNormEps, into: normed)
    }

    /// The input of o: q, k and v, rotation, cache and attention, (M, queryFeatures).
    ///
    /// The keys and values are written behind the caches' lengths, which do not change here.
    package func attentionOutput(_ layer: Int, _ normed: FloatMatrix, _ batch: Batch, into attended: FloatMatrix) {
        rotary.reserve(batch.positionLimit)
        let projected = projectedBuffer.matrix(
            rows: batch.count, columns: configuration.queryFeatures + 2 * configuration.keyValueFeatures)
        backend.linear(weights.layers[layer].queryKeyValue, normed, into: projected, adding: false)
        backend.attention(
            AttentionStep(
                layer: layer, runs: batch.runs, queriesKeysValues: projected,
                heads: configuration.numAttentionHeads, keyValueHeads: configuration.numKeyValueHeads,
                headDim: configuration.headDim, window: configuration.attentionWindows[layer], rotary: rotary),
            into: attended)
    }

    /// Adds o's result to the residual stream.
    package func addAttentionProjection(_ layer: Int, _ attended: FloatMatrix, to hidden: FloatMatrix) {
        backend.linear(weights.layers[layer].attentionOutput, attended, into: hidden, adding: true)
    }

    /// The input of gate and up: the second norm of the residual stream, (M, hiddenSize).
    package func mlpInput(_ layer: Int, _ hidden: FloatMatrix, into normed: FloatMatrix) {
        backend.normalize(
            hidden, weight: weights.layers[layer].postAttentionNorm, epsilon: configuration.rmsNormEps, into: normed)
    }

    /// The input of down: silu(gate) x up, (M, intermediateSize).
    package func mlpActivation(_ layer: Int, _ normed: FloatMatrix, into activation: FloatMatrix) {
        let projected = projectedBuffer.matrix(rows: normed.rows, columns: 2 * configuration.intermediateSize)
        backend.linear(weights.layers[layer].gateUp, normed, into: projected, adding: false)
        backend.siluMultiply(projected, into: activation)
    }

    /// Adds down's result to the residual stream.
    package func addMLPProjection(_ layer: Int, _ activation: FloatMatrix, to hidden: FloatMatrix) {
        backend.linear(weights.layers[layer].down, activation, into: hidden, adding: true)
    }

    /// Final norm and head of some rows of the residual stream after the last block, any number of them.
    ///
    /// - Returns: (rows, vocabSize), valid until the next call.
    package func logits(_ hidden: FloatMatrix) -> FloatMatrix {
        let logits = logitsBuffer.matrix(rows: hidden.rows, columns: configuration.vocabSize)
        guard hidden.rows > 0 else { return logits }
        let normed = normedBuffer.matrix(rows: hidden.rows, columns: configuration.hiddenSize)
        backend.normalize(hidden, weight: weights.finalNorm, epsilon: configuration.rmsNormEps, into: normed)
        backend.linear([weights.head], normed, into: logits, adding: false)
        return logits
    }
}
