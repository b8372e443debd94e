import CrumbABI
import CrumbCUDA
import CrumbModel

/// Gradients, from the head's back to the first block's.
extension TunePass {
    /// Takes the stream's gradient, in `work.gradient` and `work.narrowGradient`, from behind a block to before it.
    ///
    /// - Parameters:
    ///   - input: What the block's forward pass was given.
    ///   - product: Called with each product when its gradient, fp32 [N][K], is in `work.weightGradient`; the product's
    ///     weights are not read any more.
    ///   - vector: Called when a vector's gradient is in `work.sums`.
    func backward(
        _ block: TuneBlock, index: Int, input: UInt64, product step: (InputRole) throws(CUDAError) -> Void,
        vector stepVector: (Vector) throws(CUDAError) -> Void
    ) throws(CUDAError) {
        let s = sizes
        enter(index)
        if !work.keepsBlocks { try forward(block, from: input, to: input, completes: false) }
        try backward(
            work.narrowGradient, n: s.hidden, through: block.down, of: work.block.activation, k: s.intermediate,
            to: work.activationGradient)
        try step(.down)
        try silu(work.activationGradient, backward: true)
        try backward(
            work.block.gateUp, n: 2 * s.intermediate, through: block.gateUp, of: work.block.normed2, k: s.hidden,
            to: work.normGradient)
        try step(.gateUp)
        try normBackward(work.block.middle, weight: block.postNorm, scales: work.block.scales2)
        try stepVector(.postNorm(index))

        try backward(
            work.narrowGradient, n: s.hidden, through: block.output, of: work.block.attended, k: s.queryFeatures,
            to: work.heads)
        try step(.attentionOutput)
        try heads(work.heads, to: work.headGradient, toHeads: true)
        try attentionBackward()
        try rope(bias: 0, backward: true)
        if block.bias != 0 {
            try columnSums(work.rows, columns: s.rowFeatures)
            try stepVector(.bias(index))
        }
        try backward(
            work.rows, n: s.rowFeatures, through: block.queryKeyValue, of: work.block.normed1, k: s.hidden,
            to: work.normGradient)
        try step(.queryKeyValue)
        try normBackward(input, weight: block.inputNorm, scales: work.block.scales1)
        try stepVector(.inputNorm(index))
    }

    /// work.gradient += gradient of a norm's input, by `work.normGradient`; `work.narrowGradient` becomes the same, and its
    /// weight's gradient goes to `work.sums`.
    func normBackward(_ input: UInt64, weight: UInt64, scales: UInt64) throws(CUDAError) {
        let columns = sizes.hidden
        try launch(
            kernels.normBackward, blocks: Int(CRUMB_TUNE_NORM_BLOCKS), rowColumns: columns,
            crumb_tune_norm_backward_args(
                input: input, weight: weight, scales: scales, gradient: work.normGradient,
                stream_gradient: work.gradient, narrow: work.narrowGradient, partials: work.partials,
                tokens: UInt32(sizes.tokens),
                columns: UInt32(columns)))
        try addPartials(rows: Int(CRUMB_TUNE_NORM_BLOCKS), columns)
    }

    /// Gradients of y = x w^T by dy, E [M][N]: dw to `work.weightGradient`, then dx, E [M][K], to `output`.
    private func backward(
        _ gradient: UInt64, n: Int, through weight: UInt64, of input: UInt64, k: Int, to output: UInt64
    ) throws(CUDAError) {
        try blas.multiply(
            factor(gradient, n, transposed: true), factor(input, k), into: factor(work.weightGradient, k, .float), m: n,
            n: k, k: sizes.tokens)
        try blas.multiply(factor(gradient, n), factor(weight, k), into: factor(output, k), m: sizes.tokens, n: k, k: n)
    }

    /// From the gradient of the heads' outputs to those of queries, keys and values.
    private func attentionBackward() throws(CUDAError) {
        let s = sizes
        let (square, slice) = (s.share * s.length * s.length, s.length * s.headDim)
        try multiplyHeads(
            factor(work.headGradient, s.headDim, batch: s.share * slice),
            factor(work.block.values, s.headDim, transposed: true, batch: slice),
            to: factor(work.scores, s.length, .float, batch: square), m: s.share * s.length, n: s.length, k: s.headDim)
        try multiplyHeads(
            factor(work.block.probabilities, s.length, transposed: true, batch: square),
            factor(work.headGradient, s.headDim, batch: s.share * slice),
            to: factor(work.valueGradient, s.headDim, batch: slice), m: s.length, n: s.headDim, k: s.share * s.length)
        try launch(
            kernels.softmaxBackward, blocks: s.texts * s.heads * s.length / 8,
            crumb_tune_softmax_backward_args(
                gradient: work.scores, probabilities: work.block.probabilities, output: work.block.probabilities,
                length: UInt32(s.length), scale: scoreScale))
        try multiplyHeads(
            factor(work.block.probabilities, s.length, batch: square), factor(work.block.keys, s.headDim, batch: slice),
            to: factor(work.queryGradient, s.headDim, batch: s.share * slice), m: s.share * s.length, n: s.headDim,
            k: s.length)
        try multiplyHeads(
            factor(work.block.probabilities, s.length, transposed: true, batch: square),
            factor(work.block.queries, s.headDim, batch: s.share * slice),
            to: factor(work.keyGradient, s.headDim, batch: slice), m: s.length, n: s.headDim, k: s.share * s.length)
    }
}
