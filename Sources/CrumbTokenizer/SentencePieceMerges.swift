// SentencePiece stores a score for each piece instead of merges. A piece can be put together at every place where both
// halves are pieces, and the piece with the highest score goes first; written as merges this is what Hugging Face's
// conversion gives.

import CrumbJSON

enum SentencePieceMerges {
    /// Characters of the longest piece that is taken apart; SentencePiece's own limit is 16 by default.
    private static let maximalLength = 256

    private struct Merge {
        let score: Float
        let left: Int32
        let right: Int32
        /// Characters of the halves.
        let leftLength: Int
        let rightLength: Int
    }

    /// The merges, each as [left, right].
    ///
    /// - Parameter table: the ids of all tokens.
    /// - Throws: `TokenizerError` without scores, or with one that is not finite.
    static func derive(
        _ arrays: GGUFVocabularyArrays, _ table: TokenTable
    ) throws(TokenizerError) -> [JSONValue] {
        guard let scores = arrays.scores else {
            throw TokenizerError(source: "tokenizer.ggml.scores", reason: "a \"llama\" tokenizer needs scores")
        }
        var merges: [Merge] = []
        for (id, token) in arrays.tokens.enumerated() {
            guard scores[id].isFinite else {
                throw TokenizerError(
                    source: "tokenizer.ggml.scores", reason: "the score of token \(id) is \(scores[id])")
            }
            guard try isPiece(arrays, id) else { continue }
            let bytes = Array(token.utf8)
            let cuts = bytes.indices.dropFirst().filter { bytes[$0] & 0xC0 != 0x80 }
            guard cuts.count < maximalLength else { continue }
            var found: [Merge] = []
            for (index, cut) in cuts.enumerated() {
                guard let left = table.find(bytes.span, 0..<cut), try isPiece(arrays, Int(left)),
                    let right = table.find(bytes.span, cut..<bytes.count), try isPiece(arrays, Int(right))
                else { continue }
                found.append(
                    Merge(
                        score: scores[id], left: left, right: right, leftLength: index + 1,
                        rightLength: cuts.count - index))
            }
            merges += found.sorted { ($0.left, $0.right) < ($1.left, $1.right) }
        }
        // The highest score first, then the longer left and right half; what is equal keeps its order.
        let order = merges.indices.sorted { a, b in
            let (first, second) = (merges[a], merges[b])
            if first.score != second.score { return first.score > second.score }
            if first.leftLength != second.leftLength { return first.leftLength > second.leftLength }
            if first.rightLength != second.rightLength { return first.rightLength > second.rightLength }
            return a < b
        }
        return order.map { index in
            let merge = merges[index]
            return [.string(arrays.tokens[Int(merge.left)]), .string(arrays.tokens[Int(merge.right)])]
        }
    }

    /// Whether a token takes part in merges: pieces do, tokens with a meaning of their own and bytes do not.
    private static func isPiece(_ arrays: GGUFVocabularyArrays, _ id: Int) throws(TokenizerError) -> Bool {
        guard try arrays.kind(id) == .normal else { return false }
        return try !arrays.isFiller(id)
    }
}
