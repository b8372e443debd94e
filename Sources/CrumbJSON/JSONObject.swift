// An ordered object. Up to eight keys are searched one after the other; above that an open-addressing table of
// positions is kept, hashed by the keys' UTF-8 bytes with the process's random seed, so that no file can choose keys
// that collide.

import Glibc

/// The members of a JSON object in the order of the text.
package struct JSONObject: Sendable {
    /// All members, in order.
    package private(set) var entries: [(key: String, value: JSONValue)]

    /// Positions in `entries` plus one, 0 for a free slot; the count is a power of two at least twice the members.
    /// Empty while there are few members.
    private var slots: [UInt32]

    private static let linearCount = 8

    /// An object without members.
    package init() {
        entries = []
        slots = []
    }

    /// An object of these members; of two with the same key the later value stays, at the earlier place.
    package init(_ pairs: [(String, JSONValue)]) {
        self.init()
        entries.reserveCapacity(pairs.count)
        for (key, value) in pairs {
            self[key] = value
        }
    }

    /// The number of members.
    package var count: Int { entries.count }

    /// Whether there are no members.
    package var isEmpty: Bool { entries.isEmpty }

    /// The value at a key. Setting keeps the place of a key that exists and appends one that does not; setting nil
    /// removes the member, at a cost that grows with the number of members.
    package subscript(_ key: String) -> JSONValue? {
        get {
            guard let position = position(of: key) else { return nil }
            return entries[position].value
        }
        set {
            switch (position(of: key), newValue) {
            case (let position?, let value?):
                entries[position].value = value
            case (let position?, nil):
                entries.remove(at: position)
                rebuild()
            case (nil, let value?):
                add(key, value)
            case (nil, nil):
                break
            }
        }
    }

    /// Appends a member unless its key exists already.
    ///
    /// - Returns: whether the key was new.
    mutating func append(_ key: String, _ value: JSONValue) -> Bool {
        guard position(of: key) == nil else { return false }
        add(key, value)
        return true
    }

    private mutating func add(_ key: String, _ value: JSONValue) {
        entries.append((key, value))
        if entries.count <= Self.linearCount { return }
        if entries.count * 2 > slots.count {
            rebuild()
        } else {
            occupy(entries.count - 1)
        }
    }

    private func position(of key: String) -> Int? {
        if slots.isEmpty {
            return entries.firstIndex { sameBytes($0.key, key) }
        }
        let mask = slots.count - 1
        var slot = hashOfBytes(key) & mask
        while slots[slot] != 0 {
            let position = Int(slots[slot]) - 1
            if sameBytes(entries[position].key, key) { return position }
            slot = (slot + 1) & mask
        }
        return nil
    }

    private mutating func rebuild() {
        guard entries.count > Self.linearCount else {
            slots = []
            return
        }
        var size = 32
        while size < entries.count * 4 { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
        for position in entries.indices {
            occupy(position)
        }
    }

    private mutating func occupy(_ position: Int) {
        let mask = slots.count - 1
        var slot = hashOfBytes(entries[position].key) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = UInt32(position + 1)
    }
}

extension JSONObject: Equatable {
    /// The same entries in the same order.
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count
            && zip(left.entries, right.entries).allSatisfy { sameBytes($0.key, $1.key) && $0.value == $1.value }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }
}

/// Whether two strings have the same UTF-8 bytes. `==` would also take canonically equivalent ones for equal.
package func sameBytes(_ left: String, _ right: String) -> Bool {
    let left = left.utf8.span
    let right = right.utf8.span
    guard left.count == right.count else { return false }
    return unsafe left.withUnsafeBytes { a in
        unsafe right.withUnsafeBytes { b in
            guard let a = a.baseAddress, let b = b.baseAddress else { return true }
            return unsafe memcmp(a, b, left.count) == 0
        }
    }
}

/// A hash of the UTF-8 bytes, seeded at random for each process.
func hashOfBytes(_ key: String) -> Int {
    var hasher = Hasher()
    unsafe key.utf8.span.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return hasher.finalize()
}
