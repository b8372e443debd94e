package import CrumbModel

/// One sequence: the tokens taken in so far and what the model makes of them.
///
/// The generation loop needs nothing else of a model, so tests drive it with a made-up one.
package protocol Timeline: AnyObject {
    /// The tokens taken in.
    var tokens: [Int32] { get }
    /// Tokens there is room for: the context.
    var capacity: Int { get }

    /// Takes in more tokens, at least one and no more than there is room for.
    ///
    /// - Returns: The logits that follow the last one, one number for each token of the vocabulary. The caller may
    ///   overwrite them; they are valid until the next call.
    func append(_ tokens: [Int32]) throws -> UnsafeMutableBufferPointer<Float>

    /// Forgets the tokens from `count` on.
    func truncate(to count: Int)

    /// Goes on from `token`, which was chosen already but not taken in, without the caller's choosing.
    ///
    /// - Returns: nil where the caller must choose from logits.
    func runAhead(from token: Int32, choice: TokenChoice) throws -> (any TokenRun)?
}

/// Tokens that are chosen and taken in ahead of their reader.
package protocol TokenRun: AnyObject {
    /// Takes in the last token, and gives the one chosen after it. There must be room.
    func next() throws -> Int32
    /// Comes before anything else happens to the timeline.
    func stop() throws
}

extension Timeline {
    package func runAhead(from token: Int32, choice: TokenChoice) throws -> (any TokenRun)? { nil }
}

extension Timeline {
    /// Takes in a prompt in blocks, keeping what it has in common with the tokens that are already there.
    ///
    /// - Parameters:
    ///   - prompt: All tokens that the answer is to follow; at least one.
    ///   - blockTokens: Tokens of one pass.
    ///   - isCancelled: Asked before each block.
    /// - Returns: The logits after the last token and how many tokens were taken over, or nil when cancelled.
    /// - Throws: `EngineError` for an empty prompt or one longer than the context; what `isCancelled` throws.
    func prefill(
        _ prompt: [Int32], blockTokens: Int, isCancelled: () throws -> Bool
    ) throws -> (logits: UnsafeMutableBufferPointer<Float>, reused: Int)? {
        guard !prompt.isEmpty else { throw EngineError("the prompt is empty: give at least one token to continue") }
        // The answer needs a position of its own.
        guard prompt.count < capacity else {
            throw EngineError(
                "the prompt has \(prompt.count) tokens, but the context holds \(capacity) with at least one for the "
                    + "answer: shorten the prompt or ask for a longer context")
        }
        // The last token is always run again, because its logits are wanted.
        var reused = 0
        while reused < min(tokens.count, prompt.count - 1), tokens[reused] == prompt[reused] { reused += 1 }
        truncate(to: reused)
        var position = reused
        while true {
            if try isCancelled() { return nil }
            let end = min(position + blockTokens, prompt.count)
            let logits = try append(Array(prompt[position..<end]))
            position = end
            if position == prompt.count { return (logits, reused) }
        }
    }
}

/// A timeline over a decoder and a cache of its keys and values.
package final class DecoderTimeline: Timeline {
    package private(set) var tokens: [Int32] = []
    package let decoder: any Decoder
    package let cache: any SequenceCache

    /// - Throws: `ModelError` when there is no memory for a cache of `capacity` positions.
    package init(_ decoder: any Decoder, capacity: Int) throws {
        self.decoder = decoder
        cache = try decoder.makeCache(capacity: capacity)
    }

    package var capacity: Int { cache.capacity }

    package func append(_ tokens: [Int32]) throws -> UnsafeMutableBufferPointer<Float> {
        let logits = try decoder.logits(for: Batch(tokens, cache: cache, logits: .last))
        self.tokens.append(contentsOf: tokens)
        return UnsafeMutableBufferPointer(start: logits.row(0), count: logits.columns)
    }

    package func truncate(to count: Int) {
        cache.truncate(to: count)
        tokens.removeLast(tokens.count - count)
    }

    package func runAhead(from token: Int32, choice: TokenChoice) throws -> (any TokenRun)? {
        guard let decoder = decoder as? any RunAheadDecoder else { return nil }
        let sequence = RunAheadSequence(cache: cache, token: token, choice: choice)
        return try decoder.runAhead([sequence]).map { Run(self, $0, token: token) }
    }

    private final class Run: TokenRun {
        private let timeline: DecoderTimeline
        private let steps: any RunAhead
        private var token: Int32

        init(_ timeline: DecoderTimeline, _ steps: any RunAhead, token: Int32) {
            self.timeline = timeline
            self.steps = steps
            self.token = token
        }

        func next() throws -> Int32 {
            let chosen = try steps.next()
            timeline.tokens.append(token)
            token = chosen[0]
            return token
        }

        func stop() throws { try steps.stop() }
    }
}
