/// A small deterministic random number generator: xoshiro256**, started from one number by SplitMix64.
///
/// Source: D. Blackman and S. Vigna, "Scrambled Linear Pseudorandom Number Generators" (2021); both algorithms are in
/// the public domain. The same seed gives the same numbers on every machine and in every version of Swift, which the
/// system's generator does not promise.
package struct RandomSource: Sendable, RandomNumberGenerator {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    package init(seed: UInt64) {
        var mixer = seed
        func mixed() -> UInt64 {
            mixer &+= 0x9E37_79B9_7F4A_7C15
            var z = mixer
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        state = (mixed(), mixed(), mixed(), mixed())
    }

    /// The `stream`-th of many generators that share a seed and are not correlated in practice.
    package init(seed: UInt64, stream: Int) {
        var parent = RandomSource(seed: seed ^ 0xD1B5_4A32_D192_ED03)
        let offset = parent.next()
        self.init(seed: offset &+ UInt64(truncatingIfNeeded: stream) &* 0x9E37_79B9_7F4A_7C15)
    }

    /// The four words of the state, for a device that goes on drawing.
    package var words: [UInt64] { [state.0, state.1, state.2, state.3] }

    package mutating func next() -> UInt64 {
        let result = Self.rotated(state.1 &* 5, 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = Self.rotated(state.3, 45)
        return result
    }

    /// A number from 0 up to, not including, 1, with 53 random bits.
    package mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// An integer from 0 up to, not including, `bound`. Its bias is below bound / 2^64.
    package mutating func integer(below bound: Int) -> Int {
        precondition(bound > 0, "a random integer below \(bound)")
        return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    private static func rotated(_ value: UInt64, _ bits: UInt64) -> UInt64 { (value << bits) | (value >> (64 - bits)) }
}
