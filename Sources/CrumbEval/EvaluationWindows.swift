/// Which part of a text is measured, by tokens.
package enum TextPortion: String, Sendable, CaseIterable {
    case all
    case firstHalf = "first-half"
    case secondHalf = "second-half"

    /// The tokens of a text of `count` tokens.
    package func range(of count: Int) -> Range<Int> {
        switch self {
        case .all: 0..<count
        case .firstHalf: 0..<count / 2
        case .secondHalf: count / 2..<count
        }
    }
}

/// The windows of a text over which predictions are counted, as llama.cpp's perplexity tool cuts and counts them.
///
/// The text is tokenized once and cut into windows of `context` tokens without overlap; a remainder is dropped. Where the
/// tokenizer begins texts with a token of its own, that token takes the place of each window's first. Counted are the
/// predictions of the tokens from context / 2 + 1 on, so that each has at least half a window before it:
/// context - 1 - context / 2 of them in a window.
package struct EvaluationWindows: Sendable {
    package let context: Int
    package let count: Int
    private let tokens: ArraySlice<Int32>
    private let beginning: Int32?

    /// - Parameters:
    ///   - tokens: The whole text, without tokens added at its beginning or end.
    ///   - beginning: The token that the tokenizer begins texts with, if any.
    ///   - context: Tokens of a window, at least 4.
    ///   - limit: Windows at most; nil takes all.
    /// - Throws: `EvaluationError` where the text does not fill a window, with the numbers.
    package init(
        tokens: [Int32], beginning: Int32?, context: Int = 2048, limit: Int? = nil, portion: TextPortion = .all
    ) throws {
        guard context >= 4 else {
            throw EvaluationError("the context is \(context), but must be at least 4 tokens")
        }
        if let limit, limit < 1 {
            throw EvaluationError("the number of windows is \(limit), but must be at least 1")
        }
        let part = tokens[portion.range(of: tokens.count)]
        guard part.count >= context else {
            let named = portion == .all ? "the text" : "this half of the text"
            throw EvaluationError(
                "\(named) has \(part.count) tokens, which do not fill one window of \(context): give a longer text or a "
                    + "shorter context")
        }
        self.context = context
        self.beginning = beginning
        self.tokens = part
        count = min(part.count / context, limit ?? .max)
    }

    /// The position in a window of the first prediction that counts.
    package var firstCounted: Int { context / 2 }

    /// Predictions counted in one window.
    package var countedPerWindow: Int { context - 1 - firstCounted }

    /// The inputs of window `index`.
    package func inputs(_ index: Int) -> [Int32] {
        var window = Array(window(index))
        if let beginning { window[0] = beginning }
        return window
    }

    /// The token that the prediction at `position` of window `index` is compared with.
    package func target(_ index: Int, at position: Int) -> Int32 {
        let window = window(index)
        return window[window.startIndex + position + 1]
    }

    /// - Throws: `EvaluationError` for a token that a vocabulary of `size` tokens does not have.
    func check(vocabulary size: Int) throws {
        let all = tokens + (beginning.map { [$0] } ?? [])
        if let token = all.first(where: { $0 < 0 || Int($0) >= size }) {
            throw EvaluationError("the text has the token \(token), which is outside the model's vocabulary of \(size)")
        }
    }

    private func window(_ index: Int) -> ArraySlice<Int32> {
        precondition(index >= 0 && index < count, "window \(index) of \(count)")
        let start = tokens.startIndex + index * context
        return tokens[start..<start + context]
    }
}
