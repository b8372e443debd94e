// A table from byte strings to ids. Keys are compared by their bytes: Swift's string equality would take the two
// spellings of an accented letter for one token.

/// Byte strings, each with an id; keys are stored back to back in one array.
struct TokenTable: Sendable {
    private var bytes: [UInt8] = []
    /// Where each key starts in `bytes`; one more entry than keys.
    private var starts: [Int] = [0]
    private var ids: [Int32] = []
    /// Key number plus one, 0 for a free slot; the count is a power of two at least twice the keys.
    private var slots: [UInt32]

    /// The number of keys.
    var count: Int { ids.count }

    /// A table with room for this many keys before it grows.
    init(capacity: Int = 0) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
        ids.reserveCapacity(capacity)
        starts.reserveCapacity(capacity + 1)
    }

    /// The id of a key.
    func find(_ key: Span<UInt8>) -> Int32? {
        let slot = slot(of: key)
        return slots[slot] == 0 ? nil : ids[Int(slots[slot]) - 1]
    }

    /// The id of the part of a text.
    func find(_ text: Span<UInt8>, _ range: Range<Int>) -> Int32? { find(text.extracting(range)) }

    /// Adds a key unless it is there.
    ///
    /// - Returns: the id that the key had before, nil where it was new.
    @discardableResult
    mutating func insert(_ key: Span<UInt8>, id: Int32) -> Int32? {
        let slot = slot(of: key)
        if slots[slot] != 0 { return ids[Int(slots[slot]) - 1] }
        append(key, 0..<key.count, to: &bytes)
        starts.append(bytes.count)
        ids.append(id)
        slots[slot] = UInt32(ids.count)
        if ids.count * 2 > slots.count { grow() }
        return nil
    }

    /// Removes all keys and keeps the memory.
    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        starts.removeSubrange(1...)
        ids.removeAll(keepingCapacity: true)
        for slot in slots.indices { slots[slot] = 0 }
    }

    /// The slot that holds the key, or the free one where it belongs.
    private func slot(of key: Span<UInt8>) -> Int {
        let mask = slots.count - 1
        var slot = hash(key) & mask
        let stored = bytes.span
        search: while slots[slot] != 0 {
            let start = starts[Int(slots[slot]) - 1]
            if starts[Int(slots[slot])] - start == key.count {
                var index = 0
                while index < key.count, stored[start + index] == key[index] { index += 1 }
                if index == key.count { break search }
            }
            slot = (slot + 1) & mask
        }
        return slot
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        let mask = slots.count - 1
        for number in ids.indices {
            var slot = hash(bytes.span.extracting(starts[number]..<starts[number + 1])) & mask
            while slots[slot] != 0 { slot = (slot + 1) & mask }
            slots[slot] = UInt32(number + 1)
        }
    }

    /// Seeded at random for each process, so that no file or text can choose keys that collide.
    private func hash(_ key: Span<UInt8>) -> Int {
        var hasher = Hasher()
        unsafe key.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}
