// Blocks of 32 weights. Code j of the 16 bytes of nibbles has weight j in its low half and weight j + 16 in its high.

extension Dequantizer {
    /// half d | 16 nibble pairs: d x (code - 8).
    static func q4_0(_ block: BlockInput, _ weights: WeightOutput) {
        let d = block.half(0)
        for j in 0..<16 {
            let codes = block[2 + j]
            weights[j] = Float((codes & 15) - 8) * d
            weights[j + 16] = Float((codes &>> 4) - 8) * d
        }
    }

    /// half d | half m | 16 nibble pairs: d x code + m.
    static func q4_1(_ block: BlockInput, _ weights: WeightOutput) {
        let d = block.half(0)
        let m = block.half(2)
        for j in 0..<16 {
            let codes = block[4 + j]
            weights[j] = Float(codes & 15) * d + m
            weights[j + 16] = Float(codes &>> 4) * d + m
        }
    }

    /// half d | 32 fifth bits | 16 nibble pairs: d x (code - 16).
    static func q5_0(_ block: BlockInput, _ weights: WeightOutput) {
        let d = block.half(0)
        let high = block.bits32(2)
        for j in 0..<16 {
            let codes = block[6 + j]
            weights[j] = Float((codes & 15 | fifth(high, j)) - 16) * d
            weights[j + 16] = Float((codes &>> 4 | fifth(high, j + 16)) - 16) * d
        }
    }

    /// half d | half m | 32 fifth bits | 16 nibble pairs: d x code + m.
    static func q5_1(_ block: BlockInput, _ weights: WeightOutput) {
        let d = block.half(0)
        let m = block.half(2)
        let high = block.bits32(4)
        for j in 0..<16 {
            let codes = block[8 + j]
            weights[j] = Float(codes & 15 | fifth(high, j)) * d + m
            weights[j + 16] = Float(codes &>> 4 | fifth(high, j + 16)) * d + m
        }
    }

    /// half d | 32 signed bytes: d x code.
    static func q8_0(_ block: BlockInput, _ weights: WeightOutput) {
        let d = block.half(0)
        for j in 0..<32 { weights[j] = Float(block.signed(2 + j)) * d }
    }

    /// The fifth bit of code `j`, in its place.
    private static func fifth(_ bits: UInt32, _ j: Int) -> Int32 {
        Int32(truncatingIfNeeded: bits &>> UInt32(truncatingIfNeeded: j) & 1) &<< 4
    }
}
