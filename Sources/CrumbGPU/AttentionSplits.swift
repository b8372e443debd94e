import CrumbABI

/// Over how many blocks the positions of a sequence are spread in attention_decode.
package struct AttentionSplits: Sendable, Equatable {
    package let count: Int
    package let usesClusters: Bool

    /// Positions of one split at least: 4 warps x 16.
    private static let positions = 64
    /// Splits at most: the last block to arrive adds up all of them.
    private static let most = 64

    /// - Parameters:
    ///   - blocks: Tokens x KV heads x blocks per KV head.
    ///   - limit: Positions at most: the longest sequence, or what the cache holds where a graph is recorded.
    package init(blocks: Int, limit: Int, multiprocessors: Int, hasClusters: Bool) {
        let useful = (limit + Self.positions - 1) / Self.positions
        // Three blocks run on a multiprocessor. Measured on an H200: from 256 blocks on one split is best; clusters of 8
        // splits for one token up to some 2000 positions, several clusters for longer contexts with few KV heads. What
        // lies between is not tuned yet.
        let wanted = blocks >= 256 ? 1 : max(3 * multiprocessors / blocks, 1)
        let cluster = Int(CRUMB_DECODE_CLUSTER)
        if hasClusters, wanted >= cluster, useful > 1 {
            let clusters = limit <= 2048 ? 1 : min(wanted / cluster, Self.most / cluster)
            (count, usesClusters) = (clusters * cluster, true)
        } else {
            (count, usesClusters) = (max(min(wanted, useful, Self.most), 1), false)
        }
    }
}
