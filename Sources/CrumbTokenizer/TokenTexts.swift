/// A byte string for each id, stored back to back; ids without a token have none.
struct TokenTexts: Sendable {
    private var bytes: [UInt8] = []
    private var starts: [UInt32]
    /// Length of each, `none` where the id has no token.
    private var lengths: [UInt32]

    private static let none = UInt32.max

    /// Room for ids below `count`.
    init(count: Int) {
        starts = [UInt32](repeating: 0, count: count)
        lengths = [UInt32](repeating: Self.none, count: count)
    }

    /// The number of ids, with and without token.
    var count: Int { starts.count }

    /// Where the text of an id lies in `storage`, nil where the id has no token.
    func range(_ id: Int32) -> Range<Int>? {
        guard id >= 0, Int(id) < lengths.count, lengths[Int(id)] != Self.none else { return nil }
        let start = Int(starts[Int(id)])
        return start..<(start + Int(lengths[Int(id)]))
    }

    /// All texts.
    var storage: [UInt8] { bytes }

    /// The text of an id, nil where the id has no token.
    subscript(_ id: Int32) -> [UInt8]? {
        guard let range = range(id) else { return nil }
        return Array(bytes[range])
    }

    /// Sets the text of an id below `count`. An earlier text of it stays in memory, unreachable.
    mutating func set(_ id: Int32, _ text: Span<UInt8>) {
        starts[Int(id)] = UInt32(bytes.count)
        lengths[Int(id)] = UInt32(text.count)
        append(text, 0..<text.count, to: &bytes)
    }
}
