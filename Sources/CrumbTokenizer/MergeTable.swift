/// The merges of a byte pair encoding: for a pair of ids its rank, for a rank the id that the merge gives.
struct MergeTable: Sendable {
    /// Ranks must fit into 32 bits of a queue entry; published tokenizers stay below a million.
    static let maximalCount = 1 << 24

    /// The id that each rank gives.
    private(set) var results: [Int32] = []
    /// Left id << 32 | right id; `free` where the slot is empty. The count is a power of two at least twice the pairs.
    private var keys: [UInt64]
    private var ranks: [UInt32]
    /// Odd and random, so that no file can choose pairs that collide.
    private let factor = UInt64.random(in: 0...UInt64.max) | 1
    private let shift: UInt64

    private static let free = UInt64.max

    /// A table for at most `count` merges.
    init(count: Int) {
        var size = 16
        while size < count * 2 { size *= 2 }
        keys = [UInt64](repeating: Self.free, count: size)
        ranks = [UInt32](repeating: 0, count: size)
        shift = UInt64(64 - size.trailingZeroBitCount)
        results.reserveCapacity(count)
    }

    /// Adds the merge of the next rank. A pair that comes again takes its last rank, as in the reference.
    mutating func append(left: Int32, right: Int32, result: Int32) {
        let key = Self.key(left, right)
        let slot = slot(of: key)
        keys[slot] = key
        ranks[slot] = UInt32(results.count)
        results.append(result)
    }

    /// The rank of a pair; the lowest is merged first.
    @inline(__always)
    func rank(_ left: Int32, _ right: Int32) -> UInt32? {
        let key = Self.key(left, right)
        let slot = slot(of: key)
        return keys[slot] == key ? ranks[slot] : nil
    }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private func slot(of key: UInt64) -> Int {
        var slot = Int(((key ^ key >> 29) &* factor) >> shift)
        while keys[slot] != key, keys[slot] != Self.free { slot = (slot + 1) & (keys.count - 1) }
        return slot
    }
}
