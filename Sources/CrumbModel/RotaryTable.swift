import Glibc

/// Cosines and sines of the rotary position embedding, for all positions asked for so far.
///
/// Row p holds headDim / 2 cosines, then headDim / 2 sines, of p x frequency. Feature i of a head is rotated together
/// with feature i + headDim / 2, as in Hugging Face's checkpoints.
package final class RotaryTable {
    package let headDim: Int
    private let frequencies: [Float]
    private var table: [Float] = []

    package init(_ configuration: ModelConfiguration) {
        headDim = configuration.headDim
        frequencies = configuration.ropeScaling.frequencies(theta: configuration.ropeTheta, headDim: headDim)
    }

    /// Makes sure that positions below `limit` are there. Rows given out before are then invalid.
    package func reserve(_ limit: Int) {
        let known = table.count / headDim
        guard limit > known else { return }
        let target = max(limit, min(2 * known, 1 << 16))
        table.reserveCapacity(target * headDim)
        for position in known..<target {
            let angles = frequencies.map { Float(position) * $0 }
            table.append(contentsOf: angles.lazy.map { cosf($0) })
            table.append(contentsOf: angles.lazy.map { sinf($0) })
        }
    }

    /// Calls `body` with the rows of all reserved positions, `headDim` numbers each.
    package func withRows<Result>(_ body: (UnsafePointer<Float>) -> Result) -> Result {
        table.withUnsafeBufferPointer { body($0.baseAddress.unsafelyUnwrapped) }
    }
}
