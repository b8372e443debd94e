/// The half-precision pattern nearest to `value`, kept finite: what a packed file stores for scales and outliers.
package func halfBits(_ value: Float) -> UInt16 {
    Float16(min(max(value, -65504), 65504)).bitPattern
}

/// The value of a half-precision pattern.
package func halfValue(_ bits: UInt16) -> Float { Float(Float16(bitPattern: bits)) }
