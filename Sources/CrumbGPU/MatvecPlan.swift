import CrumbABI

/// How a product of a fp16, 8-bit or 4-bit table with a few tokens is launched.
package struct MatvecPlan: Sendable, Equatable {
    package let threads: Int
    /// Depth of each warp's ring of weights.
    package let stages: Int
    /// Warps that share a tile of 16 rows.
    package let split: Int
    package let sharedBytes: Int

    /// Tokens of one product at most.
    package static let widest = 8

    /// - Parameter limit: Bytes of shared memory that a block may ask for.
    /// - Returns: nil where the tokens' inputs do not fit, or K is no multiple of 32.
    package init?(bits: Int, rows: Int, columns: Int, tokens: Int, multiprocessors: Int, limit: Int) {
        guard columns % 32 == 0, (1...Self.widest).contains(tokens) else { return nil }
        // Measured on an H200 at M = 1: 3 stages are best for fp16, 2 for 8 and 4 bits. Fewer threads not tuned yet.
        let deep = bits == 16 ? 3 : 2
        let choices = [512, 256, 128].flatMap { threads in
            Set([deep, 2]).sorted(by: >).map { (threads: threads, stages: $0) }
        }
        func bytes(_ choice: (threads: Int, stages: Int)) -> Int {
            Int(
                crumb_matvec_shared_bytes(
                    UInt32(bits), UInt32(columns), UInt32(tokens), UInt32(choice.threads), UInt32(choice.stages)))
        }
        guard let choice = choices.first(where: { bytes($0) <= limit }) else { return nil }
        threads = choice.threads
        stages = choice.stages
        sharedBytes = bytes(choice)
        split = Self.split(
            tiles: (rows + 15) / 16, warps: threads / 32, multiprocessors: multiprocessors,
            units: (columns + 2048 / bits - 1) / (2048 / bits))
    }

    /// The most tokens, up to `tokens`, whose product fits; nil where not even one does.
    package static func fitting(
        bits: Int, rows: Int, columns: Int, tokens: Int, multiprocessors: Int, limit: Int
    ) -> (plan: MatvecPlan, tokens: Int)? {
        for count in stride(from: min(tokens, widest), through: 1, by: -1) {
            if let plan = MatvecPlan(
                bits: bits, rows: rows, columns: columns, tokens: count, multiprocessors: multiprocessors, limit: limit)
            {
                return (plan, count)
            }
        }
        return nil
    }

    /// Measured on an H200 at M = 1: 8 or 16 warps where there are fewer tiles than warps, else 1. No more than the
    /// units (256 bytes) of a row.
    private static func split(tiles: Int, warps: Int, multiprocessors: Int, units: Int) -> Int {
        guard tiles < multiprocessors * warps else { return 1 }
        let wanted = tiles * 8 < multiprocessors * warps ? 16 : 8
        var split = 1
        while split < min(wanted, warps, units) { split *= 2 }
        return min(split, warps)
    }
}
