import CrumbABI
import CrumbCUDA

/// Where a pass keeps what it works on. The activations are one block's: the backward pass makes them again from the
/// block's input. Addresses; types as the comments say, E for elements.
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

    private let arena: ArenaOwner

    init(_ sizes: TuneSizes, elementBytes: Int, hasGradients: Bool, on device: Device) throws(CUDAError) {
        let bytes = Self.bytes(sizes, elementBytes: elementBytes, hasGradients: hasGradients)
        let owner = try ArenaOwner(bytes: bytes, on: device)
        var pieces = Self.pieces(sizes, elementBytes: elementBytes, hasGradients: hasGradients).makeIterator()
        func next() -> UInt64 { owner.take(pieces.next().unsafelyUnwrapped) }
        tokens = next()
        streams = next()
        middle = next()
        (normed1, scales1, normed2, scales2) = (next(), next(), next(), next())
        rows = next()
        (queries, keys, values, heads) = (next(), next(), next(), next())
        (queryGradient, keyGradient, valueGradient, headGradient) = (next(), next(), next(), next())
        (scores, probabilities) = (next(), next())
        attended = next()
        (gateUp, activation, activationGradient) = (next(), next(), next())
        (gradient, narrowGradient, normGradient) = (next(), next(), next())
        weightGradient = next()
        (partials, sums) = (next(), next())
        teacherNormed = next()
        (studentLogits, teacherLogits, logitGradient, losses) = (next(), next(), next(), next())
        arena = owner
    }

    static func bytes(_ sizes: TuneSizes, elementBytes: Int, hasGradients: Bool) -> Int {
        pieces(sizes, elementBytes: elementBytes, hasGradients: hasGradients).reduce(0) { $0 + DeviceArena.rounded($1) }
    }

    /// Bytes of each property above, in their order.
    private static func pieces(_ s: TuneSizes, elementBytes e: Int, hasGradients: Bool) -> [Int] {
        let (m, stream, headed) = (s.tokens, s.tokens * s.hidden, s.tokens * s.queryFeatures)
        let keyed = m * s.keyValueHeads * s.headDim
        let widest = max(s.hidden, s.rowFeatures)
        let largest = s.hidden * max(s.rowFeatures, 2 * s.intermediate)
        let logits = min(m, TuneSizes.logitRows) * s.vocabulary
        let always = [4 * stream, e * stream, 4 * m, e * stream, 4 * m, e * m * s.rowFeatures]
        let attention = [e * headed, e * keyed, e * keyed, e * headed]
        let square = [4 * s.scores, e * s.scores, e * headed]
        let forward = [e * m * 2 * s.intermediate, e * m * s.intermediate]
        let backward = [
            e * m * s.intermediate, 4 * stream, e * stream, e * stream, 4 * largest,
            4 * Int(CRUMB_TUNE_PARTIALS) * widest, 4 * widest, e * stream, 4 * logits, 4 * logits, e * logits, 4 * m,
        ]
        let streams = [4 * m, 4 * (s.layers + 1) * stream]
        func kept(_ sizes: [Int]) -> [Int] { hasGradients ? sizes : sizes.map { _ in 0 } }
        return kept(streams) + always + attention + kept(attention) + square + forward + kept(backward)
    }

    /// Lets a struct that is copied keep its memory.
    private final class ArenaOwner {
        private var arena: DeviceArena

        init(bytes: Int, on device: Device) throws(CUDAError) {
            arena = try DeviceArena(bytes: bytes, on: device, for: "the activations of tuning")
        }

        func take(_ bytes: Int) -> UInt64 { arena.take(bytes) }
    }
}
