import CrumbABI
import CrumbCUDA

/// Where a pass keeps what it works on. The activations are one block's: the backward pass makes them again from the
/// block's input. Addresses in memory that somebody else owns; types as the comments say, E for elements.
struct TuneWorkspace {
    /// i32 [M].
    let tokens: UInt64
    /// fp32 [layers + 1][M][hidden]: each block's input, and the last one's output.
    let streams: UInt64
    /// fp32 [M][hidden]: the stream between attention and the feed-forward part.
    let middle: UInt64
    /// E [M][hidden], fp32 [M].
    let normed1, scales1, normed2, scales2: UInt64
    /// E [M][q + k + v features]; later its gradient.
    let rows: UInt64
    /// E [texts][heads][L][D] each, and their gradients.
    let queries, keys, values, heads: UInt64
    let queryGradient, keyGradient, valueGradient, headGradient: UInt64
    /// fp32 and E [texts x heads][L][L].
    let scores, probabilities: UInt64
    /// E [M][q features].
    let attended: UInt64
    /// E [M][2 x intermediate], [M][intermediate].
    let gateUp, activation, activationGradient: UInt64
    /// fp32 [M][hidden]: of the stream; E [M][hidden]: the same, and of a norm's output.
    let gradient, narrowGradient, normGradient: UInt64
    /// fp32 [N][K] of the largest product.
    let weightGradient: UInt64
    /// fp32 [partials][hidden or q + k + v features] and [that].
    let partials, sums: UInt64
    /// E [M][hidden]: the teacher's input of the head.
    let teacherNormed: UInt64
    /// fp32 [rows][vocabulary] each, E [rows][vocabulary]; fp32 [M].
    let studentLogits, teacherLogits, logitGradient, losses: UInt64

    /// Bytes of all of it.
    let byteCount: Int

    /// Where block `index`'s input lies, fp32 [M][hidden].
    func stream(_ index: Int, _ sizes: TuneSizes) -> UInt64 {
        streams + UInt64(index * 4 * sizes.tokens * sizes.hidden)
    }

    /// - Parameters:
    ///   - base: Where its memory begins; 0 where only `byteCount` is asked for.
    ///   - hasGradients: Whether there is room for what the backward pass and the divergence need.
    init(_ s: TuneSizes, elementBytes e: Int, hasGradients: Bool, base: UInt64 = 0) {
        let (m, stream, headed) = (s.tokens, s.tokens * s.hidden, s.tokens * s.queryFeatures)
        let keyed = m * s.keyValueHeads * s.headDim
        let widest = max(s.hidden, s.rowFeatures)
        let logits = min(m, TuneSizes.logitRows) * s.vocabulary
        var layout = SlabLayout(base: base)
        func forGradients(_ bytes: Int) -> UInt64 { layout.reserve(hasGradients ? bytes : 0) }

        tokens = forGradients(4 * m)
        streams = forGradients(4 * (s.layers + 1) * stream)
        middle = layout.reserve(4 * stream)
        normed1 = layout.reserve(e * stream)
        scales1 = layout.reserve(4 * m)
        normed2 = layout.reserve(e * stream)
        scales2 = layout.reserve(4 * m)
        rows = layout.reserve(e * m * s.rowFeatures)
        queries = layout.reserve(e * headed)
        keys = layout.reserve(e * keyed)
        values = layout.reserve(e * keyed)
        heads = layout.reserve(e * headed)
        queryGradient = forGradients(e * headed)
        keyGradient = forGradients(e * keyed)
        valueGradient = forGradients(e * keyed)
        headGradient = forGradients(e * headed)
        scores = layout.reserve(4 * s.scores)
        probabilities = layout.reserve(e * s.scores)
        attended = layout.reserve(e * headed)
        gateUp = layout.reserve(e * m * 2 * s.intermediate)
        activation = layout.reserve(e * m * s.intermediate)
        activationGradient = forGradients(e * m * s.intermediate)
        gradient = forGradients(4 * stream)
        narrowGradient = forGradients(e * stream)
        normGradient = forGradients(e * stream)
        weightGradient = forGradients(4 * s.hidden * max(s.rowFeatures, 2 * s.intermediate))
        partials = forGradients(4 * Int(CRUMB_TUNE_PARTIALS) * widest)
        sums = forGradients(4 * widest)
        teacherNormed = forGradients(e * stream)
        studentLogits = forGradients(4 * logits)
        teacherLogits = forGradients(4 * logits)
        logitGradient = forGradients(e * logits)
        losses = forGradients(4 * m)
        byteCount = layout.byteCount
    }
}
