// The "K" blocks of 256 weights: a half-precision scale (and minimum) of the block, small integer scales (and minima)
// for each 16 or 32 weights.

extension Dequantizer {
    /// 16 bytes of scale (low) and minimum (high) | 64 bytes of 2-bit codes | half d | half dmin.
    ///
    /// Each half of 128 weights has 32 bytes of codes; bits 0-1 of byte l are weight l, bits 2-3 weight l + 32, and so on.
    static func q2_K(_ block: BlockInput, _ weights: WeightOutput) {
        let d = block.half(80)
        let minimum = block.half(82)
        for group in 0..<16 {
            let scales = block[group]
            let scale = d * Float(scales & 15)
            let offset = minimum * Float(scales &>> 4)
            let codes = 16 + group / 8 * 32 + group % 2 * 16
            let shift = Int32(group % 8 / 2 * 2)
            for l in 0..<16 {
                weights[16 * group + l] = scale * Float(block[codes + l] &>> shift & 3) - offset
            }
        }
    }

    /// 32 bytes of third bits | 64 bytes of 2-bit codes | 12 bytes of 6-bit scales | half d.
    ///
    /// The codes lie as in q2_K; bit k of byte l of the third bits belongs to weight 32 k + l. A cleared third bit takes
    /// 4 off. Scale i has its low 4 bits in byte i % 8 (upper half for i >= 8) and its high 2 bits in byte 8 + i % 4.
    static func q3_K(_ block: BlockInput, _ weights: WeightOutput) {
        let d = block.half(108)
        for group in 0..<16 {
            let low = block[96 + group % 8] &>> Int32(group / 8 * 4) & 15
            let high = block[104 + group % 4] &>> Int32(group / 4 * 2) & 3
            let scale = d * Float((low | high &<< 4) - 32)
            let codes = 32 + group / 8 * 32 + group % 2 * 16
            let shift = Int32(group % 8 / 2 * 2)
            for l in 0..<16 {
                let third = block[group % 2 * 16 + l] &>> Int32(group / 2) & 1
                weights[16 * group + l] = scale * Float((block[codes + l] &>> shift & 3) - 4 * (1 - third))
            }
        }
    }

    /// half d | half dmin | 12 bytes of 6-bit scales and minima | 128 nibble pairs.
    ///
    /// Each 64 weights have 32 bytes: the low halves are the first 32 weights, the high halves the next.
    static func q4_K(_ block: BlockInput, _ weights: WeightOutput) {
        let d = block.half(0)
        let minimum = block.half(2)
        for pair in 0..<4 {
            let (lowScale, lowMinimum) = scaleAndMinimum(block, 2 * pair)
            let (highScale, highMinimum) = scaleAndMinimum(block, 2 * pair + 1)
            let scales = (d * Float(lowScale), d * Float(highScale))
            let offsets = (minimum * Float(lowMinimum), minimum * Float(highMinimum))
            for l in 0..<32 {
                let codes = block[16 + 32 * pair + l]
                weights[64 * pair + l] = scales.0 * Float(codes & 15) - offsets.0
                weights[64 * pair + 32 + l] = scales.1 * Float(codes &>> 4) - offsets.1
            }
        }
    }

    /// half d | half dmin | 12 bytes of 6-bit scales and minima | 32 bytes of fifth bits | 128 nibble pairs.
    ///
    /// As q4_K; bit k of byte l of the fifth bits belongs to weight 32 k + l.
    static func q5_K(_ block: BlockInput, _ weights: WeightOutput) {
        let d = block.half(0)
        let minimum = block.half(2)
        for group in 0..<8 {
            let (scaleCode, minimumCode) = scaleAndMinimum(block, group)
            let scale = d * Float(scaleCode)
            let offset = minimum * Float(minimumCode)
            let codes = 48 + group / 2 * 32
            let shift = Int32(group % 2 * 4)
            for l in 0..<32 {
                let code = block[codes + l] &>> shift & 15 | (block[16 + l] &>> Int32(group) & 1) &<< 4
                weights[32 * group + l] = scale * Float(code) - offset
            }
        }
    }

    /// 128 bytes of low 4 bits | 64 bytes of high 2 bits | 16 signed scales | half d: d x scale x (code - 32).
    ///
    /// Each half of 128 weights has 64 and 32 bytes: weights 32 q + l take nibble q / 2 of byte 32 (q % 2) + l and bits
    /// 2 q of byte l.
    static func q6_K(_ block: BlockInput, _ weights: WeightOutput) {
        let d = block.half(208)
        for group in 0..<16 {
            let half = group / 8
            let quarter = group % 8 / 2
            let scale = d * Float(block.signed(192 + group))
            let lows = 64 * half + quarter % 2 * 32 + group % 2 * 16
            let highs = 128 + 32 * half + group % 2 * 16
            for l in 0..<16 {
                let low = block[lows + l] &>> Int32(quarter / 2 * 4) & 15
                let high = block[highs + l] &>> Int32(quarter * 2) & 3
                weights[16 * group + l] = scale * Float((low | high &<< 4) - 32)
            }
        }
    }

    /// The 6-bit scale and minimum of 32 weights: those of groups 0-3 in the low 6 bits of bytes 4-7 and 8-11, those of
    /// groups 4-7 split between the halves of bytes 12-15 and the top 2 bits of bytes 4-11.
    private static func scaleAndMinimum(_ block: BlockInput, _ group: Int) -> (Int32, Int32) {
        if group < 4 { return (block[4 + group] & 63, block[8 + group] & 63) }
        let low = block[8 + group]
        return (low & 15 | (block[group] &>> 6) &<< 4, low &>> 4 | (block[4 + group] &>> 6) &<< 4)
    }
}
