/// Why a text is not JSON that Crumb accepts: where, and what was wrong there.
package struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was read, usually a file name.
    package let source: String
    /// The byte at which reading stopped, from 0.
    package let offset: Int
    /// What was wrong and what would be right, without a full stop.
    package let reason: String

    /// One sentence with the source, the offset and the reason.
    package var description: String { "\(source): byte \(offset): \(reason)." }
}

/// How much a JSON text may hold; whatever lies beyond is refused before memory is spent on it.
package struct JSONLimits: Sendable {
    /// Nesting of arrays and objects; it also bounds the parser's stack.
    package var maxDepth: Int
    /// Bytes of the whole text.
    package var maxBytes: Int
    /// Values in all, keys not counted.
    package var maxValues: Int
    /// Members of one object.
    package var maxKeys: Int
    /// UTF-8 bytes of one string or key.
    package var maxStringBytes: Int

    /// Limits that the largest published tokenizers (20 MB, a million values) stay well below.
    package init(
        maxDepth: Int = 64, maxBytes: Int = 256 << 20, maxValues: Int = 4_000_000, maxKeys: Int = 1_000_000,
        maxStringBytes: Int = 16 << 20
    ) {
        self.maxDepth = maxDepth
        self.maxBytes = maxBytes
        self.maxValues = maxValues
        self.maxKeys = maxKeys
        self.maxStringBytes = maxStringBytes
    }
}
