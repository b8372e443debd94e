import CrumbABI
import CrumbCUDA

/// What a block's forward pass leaves for its backward pass. Addresses; types as the comments say, E for elements.
struct BlockActivations {
    /// E [M][hidden], fp32 [M]: the norms' outputs and 1 / root mean square of their inputs.
    let normed1, scales1, normed2, scales2: UInt64
    /// E [texts][heads][L][D] each.
    let queries, keys, values: UInt64
    /// E [texts x heads][L][L].
    let probabilities: UInt64
    /// E [M][q features].
    let attended: UInt64
    /// fp32 [M][hidden]: the stream between attention and the feed-forward part.
    let middle: UInt64
    /// E [M][2 x intermediate], [M][intermediate].
    let gateUp, activation: UInt64

    init(_ s: TuneSizes, elementBytes e: Int, in layout: inout SlabLayout) {
        let (m, stream) = (s.tokens, s.tokens * s.hidden)
        let keyed = m * s.keyValueHeads * s.headDim
        middle = layout.reserve(4 * stream)
        normed1 = layout.reserve(e * stream)
        scales1 = layout.reserve(4 * m)
        normed2 = layout.reserve(e * stream)
        scales2 = layout.reserve(4 * m)
        queries = layout.reserve(e * m * s.queryFeatures)
        keys = layout.reserve(e * keyed)
        values = layout.reserve(e * keyed)
        probabilities = layout.reserve(e * s.scores)
        attended = layout.reserve(e * m * s.queryFeatures)
        gateUp = layout.reserve(e * m * 2 * s.intermediate)
        activation = layout.reserve(e * m * s.intermediate)
    }
}

/// What a workspace has room for.
enum TuneRoom {
    /// Blocks' forward passes alone.
    case forward
    /// The backward pass, which makes a block's activations again from the block's input.
    case recomputing
    /// The backward pass, with all blocks' activations kept for it.
    case keeping
}

extension TuneRoom {
    /// Bytes of the card that stay free for what cuBLAS takes.
    private static let reserve = 1 << 30

    /// The most that fits a card beside `bytes` of other things.
    ///
    /// - Parameter purpose: The subject of an error's sentence.
    /// - Throws: `CUDAError` where not even the backward pass by itself fits.
    init(
        _ sizes: TuneSizes, _ element: CuBLAS.ElementType, beside bytes: Int, on device: Device, for purpose: String
    ) throws(CUDAError) {
        func needed(_ room: TuneRoom) -> Int {
            bytes + TuneWorkspace(sizes, elementBytes: element.byteCount, room).byteCount
        }
        try device.require(bytes: needed(.recomputing), for: purpose)
        self = try needed(.keeping) + Self.reserve <= device.memory().free ? .keeping : .recomputing
    }
}

/// Where a pass keeps what it works on. Addresses in memory that somebody else owns; types as the comments say, E for
/// elements.
struct TuneWorkspace {
    /// Of one block, which all take turns with, or of each.
    private let blocks: [BlockActivations]
    /// The activations in work.
    private(set) var block: BlockActivations
    /// i32 [M].
    let tokens: UInt64
    /// fp32 [layers + 1][M][hidden]: each block's input, and the last one's output.
    let streams: UInt64
    /// E [M][q + k + v features]; later its gradient.
    let rows: UInt64
    /// E [texts][heads][L][D]: the heads' outputs, and gradients.
    let heads, queryGradient, keyGradient, valueGradient, headGradient: UInt64
    /// fp32 [texts x heads][L][L].
    let scores: UInt64
    /// E [M][intermediate].
    let activationGradient: UInt64
    /// fp32 [M][hidden]: of the stream; E [M][hidden]: the same, and of a norm's output.
    let gradient, narrowGradient, normGradient: UInt64
    /// fp32 [N][K] of the largest product.
    let weightGradient: UInt64
    /// fp32 [partials][hidden or q + k + v features] and [that].
    let partials, sums: UInt64
    /// E [M][hidden]: the heads' inputs, and fp32 [M], 1 / root mean square of what the norm in front had.
    let teacherNormed, headNormed, headScales: UInt64
    /// fp32 [rows][vocabulary] each, E [rows][vocabulary]; fp32 [M].
    let studentLogits, teacherLogits, logitGradient, losses: UInt64

    /// Bytes of all of it.
    let byteCount: Int

    /// Whether each block's activations stay until the next forward pass.
    var keepsBlocks: Bool { blocks.count > 1 }

    /// Takes block `index`'s activations into work.
    mutating func enter(_ index: Int) { block = blocks[min(index, blocks.count - 1)] }

    /// Where block `index`'s input lies, fp32 [M][hidden].
    func stream(_ index: Int, _ sizes: TuneSizes) -> UInt64 {
        streams + UInt64(index * 4 * sizes.tokens * sizes.hidden)
    }

    /// - Parameter base: Where its memory begins; 0 where only `byteCount` is asked for.
    init(_ s: TuneSizes, elementBytes e: Int, _ room: TuneRoom, base: UInt64 = 0) {
        let (m, stream, headed) = (s.tokens, s.tokens * s.hidden, s.tokens * s.queryFeatures)
        let keyed = m * s.keyValueHeads * s.headDim
        let widest = max(s.hidden, s.rowFeatures)
        let logits = min(m, TuneSizes.logitRows) * s.vocabulary
        var layout = SlabLayout(base: base)
        func forGradients(_ bytes: Int) -> UInt64 { layout.reserve(room == .forward ? 0 : bytes) }

        let first = BlockActivations(s, elementBytes: e, in: &layout)
        let others = room == .keeping ? max(s.layers - 1, 0) : 0
        blocks = [first] + (0..<others).map { _ in BlockActivations(s, elementBytes: e, in: &layout) }
        block = first
        rows = layout.reserve(e * m * s.rowFeatures)
        heads = layout.reserve(e * headed)
        scores = layout.reserve(4 * s.scores)
        tokens = forGradients(4 * m)
        streams = forGradients(4 * (s.layers + 1) * stream)
        queryGradient = forGradients(e * headed)
        keyGradient = forGradients(e * keyed)
        valueGradient = forGradients(e * keyed)
        headGradient = forGradients(e * headed)
        activationGradient = forGradients(e * m * s.intermediate)
        gradient = forGradients(4 * stream)
        narrowGradient = forGradients(e * stream)
        normGradient = forGradients(e * stream)
        weightGradient = forGradients(4 * s.hidden * max(s.rowFeatures, 2 * s.intermediate))
        partials = forGradients(4 * Int(CRUMB_TUNE_NORM_BLOCKS) * widest)
        sums = forGradients(4 * widest)
        teacherNormed = forGradients(e * stream)
        headNormed = forGradients(e * stream)
        headScales = forGradients(4 * m)
        studentLogits = forGradients(4 * logits)
        teacherLogits = forGradients(4 * logits)
        logitGradient = forGradients(e * logits)
        losses = forGradients(4 * m)
        byteCount = layout.byteCount
    }
}
