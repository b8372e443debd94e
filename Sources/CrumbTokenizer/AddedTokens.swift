// Tokens that are found in the text as they stand, before anything else is done to it: special tokens such as
// "<|im_end|>", and words that were added to a vocabulary after its training.

/// One entry of `added_tokens`.
struct AddedToken: Sendable {
    let id: Int32
    let content: [UInt8]
    /// Left out of decoded text on request, and not looked for where a text must not contain commands.
    let isSpecial: Bool
    /// Matches only where no word character stands before or behind.
    let isSingleWord: Bool
    /// Takes the white space before it along.
    let stripsLeft: Bool
    /// Takes the white space behind it along.
    let stripsRight: Bool
    /// Looked for in the normalized text instead of the text as given.
    let isNormalized: Bool

    /// The longest content that is accepted: it bounds the time spent at each byte of a text.
    static let maximalLength = 512
}

/// Finds a set of added tokens in a text: the leftmost, and of those that start at one place the longest.
struct AddedTokenMatcher: Sendable {
    /// A piece of a text: an added token (with the white space it takes along), or text between two of them.
    struct Piece {
        let id: Int32?
        let range: Range<Int>
    }

    private var tokens: [AddedToken] = []
    /// Node and byte to the next node; node 0 is the root.
    private var edges: [UInt64: Int32] = [:]
    /// The token that ends at each node, -1 for none.
    private var ends: [Int32] = [-1]
    /// Which bytes start a token.
    private var isFirstByte = [Bool](repeating: false, count: 256)

    /// Adds a token that is looked for as `pattern`, which is not empty.
    ///
    /// - Returns: the token that has the same pattern already, nil where there is none.
    mutating func insert(_ token: AddedToken, pattern: [UInt8]) -> AddedToken? {
        var node: Int32 = 0
        for byte in pattern {
            let edge = UInt64(node) << 8 | UInt64(byte)
            if let next = edges[edge] {
                node = next
            } else {
                let next = Int32(ends.count)
                edges[edge] = next
                ends.append(-1)
                node = next
            }
        }
        if ends[Int(node)] >= 0 { return tokens[Int(ends[Int(node)])] }
        ends[Int(node)] = Int32(tokens.count)
        tokens.append(token)
        if let first = pattern.first { isFirstByte[Int(first)] = true }
        return nil
    }

    /// Cuts a text at its added tokens; empty pieces are left out.
    ///
    /// - Parameter includeSpecial: whether special tokens count. Where they do not, a place at which one would match
    ///   stays text as a whole, even if a shorter token that is not special would match there, as in the reference.
    func split(_ text: Span<UInt8>, includeSpecial: Bool) -> [Piece] {
        var pieces: [Piece] = []
        var start = 0
        var position = 0
        // End of the white space that was looked through last, so that no stretch is looked through again and again.
        var spaceEnd = 0
        while position < text.count {
            guard isFirstByte[Int(text[position])], let (token, matchEnd) = longest(text, at: position) else {
                position += 1
                continue
            }
            let match = position..<matchEnd
            position = matchEnd
            if token.isSpecial, !includeSpecial { continue }
            if token.isSingleWord, touchesWord(text, match) { continue }
            var first = match.lowerBound
            var end = match.upperBound
            if token.stripsLeft {
                while first > start {
                    let previous = scalarStart(text, before: first)
                    guard isSpace(text, previous) else { break }
                    first = previous
                }
                first = max(first, start)
            }
            if token.stripsRight {
                if end < spaceEnd {
                    end = spaceEnd
                } else {
                    while end < text.count, isSpace(text, end) { end += scalarLength(text[end]) }
                    spaceEnd = end
                }
            }
            // What an earlier token has stripped may hold this one as a whole.
            if first >= end { continue }
            if start < first { pieces.append(Piece(id: nil, range: start..<first)) }
            pieces.append(Piece(id: token.id, range: first..<end))
            start = end
        }
        if start < text.count { pieces.append(Piece(id: nil, range: start..<text.count)) }
        return pieces
    }

    private func longest(_ text: Span<UInt8>, at start: Int) -> (AddedToken, Int)? {
        var node: Int32 = 0
        var position = start
        var found: (AddedToken, Int)?
        while position < text.count, let next = edges[UInt64(node) << 8 | UInt64(text[position])] {
            node = next
            position += 1
            if ends[Int(node)] >= 0 { found = (tokens[Int(ends[Int(node)])], position) }
        }
        return found
    }

    private func isSpace(_ text: Span<UInt8>, _ position: Int) -> Bool {
        UnicodeClasses.shared[scalar(text, at: position)].contains(.space)
    }

    private func touchesWord(_ text: Span<UInt8>, _ match: Range<Int>) -> Bool {
        let classes = UnicodeClasses.shared
        if match.lowerBound > 0 {
            let previous = scalarStart(text, before: match.lowerBound)
            if classes[scalar(text, at: previous)].contains(.word) { return true }
        }
        return match.upperBound < text.count && classes[scalar(text, at: match.upperBound)].contains(.word)
    }
}
