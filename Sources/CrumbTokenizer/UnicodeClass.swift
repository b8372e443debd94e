/// What the pre-tokenizers ask of a character; several may hold at once.
struct UnicodeClass: OptionSet, Sendable {
    let rawValue: UInt8

    /// `\p{L}` of the regex engine.
    static let letter = UnicodeClass(rawValue: 1)
    /// `\p{N}` of the regex engine.
    static let number = UnicodeClass(rawValue: 2)
    /// `\s` of the regex engine, which is White_Space.
    static let space = UnicodeClass(rawValue: 4)
    /// What the `Digits` pre-tokenizer splits: `\p{N}` of a newer Unicode version.
    static let digit = UnicodeClass(rawValue: 8)
    /// `\w`, asked for by added tokens that match single words only.
    static let word = UnicodeClass(rawValue: 16)
}

/// The classes of all characters, expanded once from `UnicodeClassTable`: two loads for each look-up.
struct UnicodeClasses: Sendable {
    static let shared = UnicodeClasses()

    /// For each 256 scalars the offset of their block in `blocks`; equal blocks are stored once.
    private let offsets: [UInt16]
    private let blocks: [UInt8]

    private init() {
        var offsets: [UInt16] = []
        var blocks: [UInt8] = []
        var known: [[UInt8]: UInt16] = [:]
        var run = 0
        let runs = UnicodeClassTable.runs
        for first in stride(from: UInt32(0), to: 0x110000, by: 256) {
            var block = [UInt8](repeating: 0, count: 256)
            for index in 0..<256 {
                while run + 1 < runs.count, runs[run + 1] >> 8 <= first + UInt32(index) { run += 1 }
                block[index] = UInt8(truncatingIfNeeded: runs[run])
            }
            if let number = known[block] {
                offsets.append(number)
            } else {
                let number = UInt16(blocks.count / 256)
                known[block] = number
                offsets.append(number)
                blocks += block
            }
        }
        self.offsets = offsets
        self.blocks = blocks
    }

    /// The classes of a scalar value.
    @inline(__always)
    subscript(_ value: UInt32) -> UnicodeClass {
        UnicodeClass(rawValue: blocks[Int(offsets[Int(value >> 8)]) << 8 | Int(value & 0xFF)])
    }
}
