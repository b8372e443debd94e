// Unicode normalization form C (UAX #15): decompose, order the marks, compose. The data is that of the reference's
// library (Unicode 9), not that of Swift's own, because an id must not depend on who knows the newer characters.

/// The normalization form NFC.
struct CanonicalComposition: Sendable {
    static let shared = CanonicalComposition()

    /// For each 256 scalars the offset of their block in `blocks`.
    private let offsets: [UInt16]
    /// Combining class of each scalar; 255 for starters that a text in NFC may have to change.
    private let blocks: [UInt8]
    private let decompositions: [UInt32: (first: UInt32, second: UInt32)]
    private let compositions: [UInt64: UInt32]

    private static let active: UInt8 = 255
    /// First scalar above which anything but itself can come out; below lie ASCII and Latin letters in NFC.
    private static let firstActive: UInt32 = 0x300

    private init() {
        var decompositions: [UInt32: (first: UInt32, second: UInt32)] = [:]
        var compositions: [UInt64: UInt32] = [:]
        let table = UnicodeCompositionTable.decompositions
        let excluded = Set(UnicodeCompositionTable.excluded)
        var index = 0
        while index < table.count {
            let first = table[index] >> 12
            let count = table[index] >> 1 & 0x7FF
            let isSingleton = table[index] & 1 == 1
            index += 1
            for value in first..<(first + count) {
                decompositions[value] = (table[index], isSingleton ? 0 : table[index + 1])
                if !isSingleton, !excluded.contains(value) {
                    compositions[UInt64(table[index]) << 32 | UInt64(table[index + 1])] = value
                }
                index += isSingleton ? 1 : 2
            }
        }
        var classes = [UInt8](repeating: 0, count: 0x110000)
        let runs = UnicodeCompositionTable.combiningClasses
        for (number, run) in runs.enumerated() where run & 0xFF != 0 {
            let end = number + 1 < runs.count ? runs[number + 1] >> 8 : 0x110000
            for value in (run >> 8)..<end { classes[Int(value)] = UInt8(run & 0xFF) }
        }
        for value in decompositions.keys where classes[Int(value)] == 0 { classes[Int(value)] = Self.active }
        for key in compositions.keys where classes[Int(UInt32(truncatingIfNeeded: key))] == 0 {
            classes[Int(UInt32(truncatingIfNeeded: key))] = Self.active
        }
        for value in 0x1161...0x11C2 { classes[value] = Self.active }

        var offsets: [UInt16] = []
        var blocks: [UInt8] = []
        var known: [[UInt8]: UInt16] = [:]
        for first in stride(from: 0, to: 0x110000, by: 256) {
            let block = Array(classes[first..<(first + 256)])
            if known[block] == nil {
                known[block] = UInt16(blocks.count / 256)
                blocks += block
            }
            offsets.append(known[block] ?? 0)
        }
        self.offsets = offsets
        self.blocks = blocks
        self.decompositions = decompositions
        self.compositions = compositions
    }

    @inline(__always)
    private func mark(_ value: UInt32) -> UInt8 { blocks[Int(offsets[Int(value >> 8)]) << 8 | Int(value & 0xFF)] }

    /// The combining class; 0 for starters.
    private func combiningClass(_ value: UInt32) -> UInt8 {
        let mark = mark(value)
        return mark == Self.active ? 0 : mark
    }

    /// The text in NFC, nil where the text is so already and a short look can tell. Time grows as n log n at most.
    func normalize(_ text: Span<UInt8>) -> [UInt8]? {
        var position = 0
        while position < text.count {
            let value = scalar(text, at: position)
            if value >= Self.firstActive, mark(value) != 0 { break }
            position += scalarLength(text[position])
        }
        if position == text.count { return nil }

        var scalars: [UInt32] = []
        scalars.reserveCapacity(text.count)
        position = 0
        while position < text.count {
            decompose(scalar(text, at: position), into: &scalars)
            position += scalarLength(text[position])
        }
        order(&scalars)
        compose(&scalars)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        for value in scalars { appendUTF8(value, to: &bytes) }
        return bytes
    }

    /// Full canonical decomposition; chains have at most four members.
    private func decompose(_ value: UInt32, into scalars: inout [UInt32]) {
        if value < 0xC0 {
            scalars.append(value)
        } else if Hangul.syllables.contains(value) {
            Hangul.decompose(value, into: &scalars)
        } else if mark(value) != 0, let parts = decompositions[value] {
            decompose(parts.first, into: &scalars)
            if parts.second != 0 { scalars.append(parts.second) }
        } else {
            scalars.append(value)
        }
    }

    /// Puts each run of marks into the order of their classes; marks of one class keep theirs.
    private func order(_ scalars: inout [UInt32]) {
        var start = 0
        while start < scalars.count {
            guard combiningClass(scalars[start]) != 0 else {
                start += 1
                continue
            }
            var end = start + 1
            var isOrdered = true
            while end < scalars.count, combiningClass(scalars[end]) != 0 {
                isOrdered = isOrdered && combiningClass(scalars[end - 1]) <= combiningClass(scalars[end])
                end += 1
            }
            if !isOrdered {
                let run = Array(scalars[start..<end])
                // Class, then place: the place makes the sort stable.
                var keys = run.indices.map { UInt64(combiningClass(run[$0])) << 32 | UInt64($0) }
                keys.sort()
                for (index, key) in keys.enumerated() { scalars[start + index] = run[Int(key & 0xFFFF_FFFF)] }
            }
            start = end
        }
    }

    /// Composes each starter with the marks and starters behind it that nothing blocks.
    private func compose(_ scalars: inout [UInt32]) {
        var starter = -1
        var lastClass = 0
        var count = 0
        for value in scalars {
            let own = Int(combiningClass(value))
            if starter >= 0, lastClass < own || count == starter + 1,
                let composite = composite(scalars[starter], value)
            {
                scalars[starter] = composite
                continue
            }
            scalars[count] = value
            if own == 0 {
                starter = count
                lastClass = 0
            } else {
                lastClass = own
            }
            count += 1
        }
        scalars.removeSubrange(count...)
    }

    private func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if mark(second) == 0 { return nil }
        return Hangul.compose(first, second) ?? compositions[UInt64(first) << 32 | UInt64(second)]
    }
}

/// The arithmetic of Hangul syllables (Unicode Standard, section 3.12).
private enum Hangul {
    static let syllables: Range<UInt32> = 0xAC00..<0xD7A4
    private static let leading: Range<UInt32> = 0x1100..<0x1113
    private static let vowels: Range<UInt32> = 0x1161..<0x1176
    private static let trailing: Range<UInt32> = 0x11A8..<0x11C3

    static func decompose(_ value: UInt32, into scalars: inout [UInt32]) {
        let index = value - syllables.lowerBound
        scalars.append(leading.lowerBound + index / 588)
        scalars.append(vowels.lowerBound + index % 588 / 28)
        if index % 28 != 0 { scalars.append(trailing.lowerBound - 1 + index % 28) }
    }

    static func compose(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if leading.contains(first), vowels.contains(second) {
            return syllables.lowerBound + ((first - leading.lowerBound) * 21 + second - vowels.lowerBound) * 28
        }
        if syllables.contains(first), (first - syllables.lowerBound) % 28 == 0, trailing.contains(second) {
            return first + second - trailing.lowerBound + 1
        }
        return nil
    }
}
