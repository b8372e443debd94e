/// How a decoder that chooses tokens by itself is to choose them; `Sampler` in CrumbEngine defines the meaning.
package struct TokenChoice: Sendable {
    /// 0 takes the most likely token.
    package var temperature: Double
    /// 0 keeps all.
    package var topK: Int
    /// 1 keeps all.
    package var topP: Double
    /// 0 keeps all.
    package var minP: Double
    /// 1 leaves tokens alone that were seen before.
    package var repetitionPenalty: Double
    /// The state of xoshiro256** before the next draw, four words.
    package var random: [UInt64]
    /// Tokens that the penalty applies to.
    package var seen: Set<Int32>

    package init(
        temperature: Double = 0, topK: Int = 0, topP: Double = 1, minP: Double = 0, repetitionPenalty: Double = 1,
        random: [UInt64] = [1, 2, 3, 4], seen: Set<Int32> = []
    ) {
        precondition(random.count == 4 && random.contains { $0 != 0 }, "a state of xoshiro256** has four words")
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.random = random
        self.seen = seen
    }

    /// Whether it is the most likely token of the logits as they are.
    package var isGreedy: Bool { temperature == 0 && repetitionPenalty == 1 }
}

/// A decoder that goes on choosing tokens and running them without waiting for the host.
package protocol RunAheadDecoder: Decoder {
    /// Sequences that can be run side by side.
    var mostSequences: Int { get }

    /// Starts with a token for each sequence, chosen already but not taken in yet.
    ///
    /// - Returns: nil where these sequences cannot be run that way; the caller then asks for logits.
    func runAhead(_ sequences: [RunAheadSequence]) throws -> (any RunAhead)?
}

/// One sequence to be run ahead.
package struct RunAheadSequence {
    package let cache: any SequenceCache
    package let token: Int32
    package let choice: TokenChoice

    package init(cache: any SequenceCache, token: Int32, choice: TokenChoice) {
        self.cache = cache
        self.token = token
        self.choice = choice
    }
}

/// Sequences whose decode steps are under way ahead of the host. `stop` comes before anything else is run in them.
package protocol RunAhead: AnyObject {
    /// Takes in each sequence's last token, and gives the token chosen after it. The caches then count one token more.
    ///
    /// There must be room in every cache.
    ///
    /// - Throws: `ModelError` where a logit is NaN or infinite.
    func next() throws -> [Int32]

    /// Waits for what is under way, and drops it.
    func stop() throws
}
