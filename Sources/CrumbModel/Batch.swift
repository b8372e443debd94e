/// The tokens of one forward pass: a run for each sequence, each appended to that sequence's cache.
///
/// One long run is prefill, one run of a single token is a decode step, several such runs are a batched decode step.
/// Rows of all matrices in the pass are the tokens in this order.
package struct Batch {
    /// One sequence's part of a batch.
    package struct Run {
        package let cache: any SequenceCache
        /// The batch row of its first token.
        package let firstRow: Int
        /// Tokens.
        package let count: Int
        /// The position of its first token in the sequence.
        package let start: Int
    }

    /// The tokens of a run whose logits are wanted.
    package enum Logits: Sendable {
        case none, last, all
        /// Tokens of the run, counted from its first.
        case some(Range<Int>)
    }

    package let tokens: [Int32]
    package let runs: [Run]
    /// Rows that the head is computed for, ascending.
    package let logitRows: [Int]

    /// Rows: tokens of all runs.
    package var count: Int { tokens.count }

    /// One past the highest position in the batch.
    package let positionLimit: Int

    /// - Throws: `ModelError` when a sequence would outgrow its cache.
    package init(_ sequences: [(cache: any SequenceCache, tokens: [Int32], logits: Logits)]) throws(ModelError) {
        var tokens: [Int32] = []
        var runs: [Run] = []
        var logitRows: [Int] = []
        var positionLimit = 0
        for sequence in sequences {
            let (cache, count) = (sequence.cache, sequence.tokens.count)
            precondition(count > 0, "a sequence without tokens in a batch")
            precondition(!runs.contains { $0.cache === cache }, "a cache stands twice in a batch")
            guard count <= cache.capacity - cache.length else {
                throw ModelError(
                    "the prompt is longer than the context: \(cache.length + count) tokens, room for \(cache.capacity)")
            }
            let first = tokens.count
            switch sequence.logits {
            case .none: break
            case .last: logitRows.append(first + count - 1)
            case .all: logitRows.append(contentsOf: first..<first + count)
            case .some(let range):
                precondition(range.lowerBound >= 0 && range.upperBound <= count, "logits \(range) of \(count) tokens")
                logitRows.append(contentsOf: first + range.lowerBound..<first + range.upperBound)
            }
            runs.append(Run(cache: cache, firstRow: first, count: count, start: cache.length))
            tokens.append(contentsOf: sequence.tokens)
            positionLimit = max(positionLimit, cache.length + count)
        }
        self.tokens = tokens
        self.runs = runs
        self.logitRows = logitRows
        self.positionLimit = positionLimit
    }

    /// A batch of one sequence.
    package init(_ tokens: [Int32], cache: any SequenceCache, logits: Logits = .last) throws(ModelError) {
        try self.init([(cache, tokens, logits)])
    }
}
