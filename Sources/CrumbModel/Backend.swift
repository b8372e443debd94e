/// Where and how a model's arithmetic is done: the operations of a decoder on fp32 activations in host memory.
///
/// Every matrix of activations is (M, features), one row per token. Shapes were checked when the weights were loaded, so
/// implementations trust them. A backend is chosen once, at load, and used by one caller at a time; its results do not
/// depend on the number of threads.
package protocol Backend: AnyObject {
    /// For tables of results.
    var name: String { get }

    /// Row `tokens[m]` of the embedding table to row m of `output`. Tokens are inside the vocabulary.
    func embed(_ tokens: [Int32], table: LinearWeight, into output: FloatMatrix)

    /// Root-mean-square norm of each row: output = input / sqrt(mean(input^2) + epsilon) x weight. In place is allowed.
    func normalize(_ input: FloatMatrix, weight: [Float], epsilon: Float, into output: FloatMatrix)

    /// y = x W^T + b for several weights that share one input.
    ///
    /// - Parameters:
    ///   - weights: (N_i, K) each.
    ///   - input: x, (M, K).
    ///   - output: y, (M, N_0 + N_1 + ...): the results side by side, in the order of `weights`.
    ///   - adding: Whether y is added to what `output` holds (the residual stream) instead of replacing it.
    func linear(_ weights: [LinearWeight], _ input: FloatMatrix, into output: FloatMatrix, adding: Bool)

    /// Rotates q and k, appends k and v to the caches, and attends: softmax(q k^T / sqrt(headDim)) v for each head over
    /// the positions that a token sees.
    func attention(_ step: AttentionStep, into output: FloatMatrix)

    /// output = silu(gate) x up, where `gateUp` is (M, 2 x features): gate's columns, then up's.
    func siluMultiply(_ gateUp: FloatMatrix, into output: FloatMatrix)
}

/// The arguments of one layer's attention.
package struct AttentionStep {
    /// One sequence's part of the batch, with its cache in host memory.
    package struct Run {
        package let cache: KVCache
        /// The batch row of its first token.
        package let firstRow: Int
        /// Tokens.
        package let count: Int
        /// The position of its first token in the sequence.
        package let start: Int

        package init(_ run: Batch.Run) {
            guard let cache = run.cache as? KVCache else {
                preconditionFailure("a sequence cached on another device in a batch for the CPU")
            }
            self.cache = cache
            (firstRow, count, start) = (run.firstRow, run.count, run.start)
        }
    }

    package let layer: Int
    package let runs: [Run]
    /// (M, (heads + 2 x keyValueHeads) x headDim): queries, keys, values. Overwritten by rotation.
    package let queriesKeysValues: FloatMatrix
    package let heads: Int
    package let keyValueHeads: Int
    package let headDim: Int
    /// Latest positions a token sees, itself included.
    package let window: Int
    /// Has the positions of all runs.
    package let rotary: RotaryTable

    package init(
        layer: Int, runs: [Batch.Run], queriesKeysValues: FloatMatrix, heads: Int, keyValueHeads: Int, headDim: Int,
        window: Int, rotary: RotaryTable
    ) {
        self.layer = layer
        self.runs = runs.map(Run.init)
        self.queriesKeysValues = queriesKeysValues
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headDim = headDim
        self.window = window
        self.rotary = rotary
    }

    /// The first position that a token at `position` sees.
    package func firstVisible(from position: Int) -> Int { window > position ? 0 : position - window + 1 }
}
