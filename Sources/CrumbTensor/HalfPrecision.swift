/// A bfloat16 number: the upper half of an IEEE single. Swift has no such type of its own.
package struct BFloat16: Sendable, Equatable {
    package var bits: UInt16

    package init(bits: UInt16) { self.bits = bits }

    /// Rounds to nearest, ties to even; NaN stays NaN.
    package init(_ value: Float) {
        let pattern = value.bitPattern
        if value.isNaN {
            bits = UInt16(truncatingIfNeeded: pattern >> 16) | 0x40
        } else {
            bits = UInt16(truncatingIfNeeded: (pattern &+ 0x7FFF &+ ((pattern >> 16) & 1)) >> 16)
        }
    }

    package var float: Float { Float(bitPattern: UInt32(bits) << 16) }
}

/// The half-precision pattern nearest to `value`, kept finite: what a packed file stores for scales and outliers.
package func halfBits(_ value: Float) -> UInt16 {
    Float16(min(max(value, -65504), 65504)).bitPattern
}

/// The value of a half-precision pattern.
package func halfValue(_ bits: UInt16) -> Float { Float(Float16(bitPattern: bits)) }
