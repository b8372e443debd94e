package import CrumbModel
import Glibc

/// Chooses the next token from logits.
///
/// The steps, in the order of Hugging Face's `generate` (whose `generation_config.json` supplies their values):
///
/// 1. repetition penalty r (Keskar et al., CTRL, section 4.1): logits of tokens seen in prompt or answer are divided by r
///    where positive and multiplied by r where negative;
/// 2. temperature: logits are divided by it; 0 ends here with the most likely token, the lowest id among equals;
/// 3. top-k, 4. top-p (Holtzman et al., nucleus sampling), over what top-k has left,
/// 5. min-p (Nguyen et al.), relative to the most likely token;
/// 6. one draw from what is left, in proportion to the probabilities.
///
/// At least one token always remains. The result depends on logits, options and seed alone.
package struct Sampler: Sendable {
    package let options: SamplingOptions
    /// The seed in use: the one asked for, or the one the system gave.
    package let seed: UInt64
    private var random: RandomSource
    /// Tokens that the repetition penalty applies to.
    private var seen: Set<Int32> = []

    /// - Throws: `EngineError` for options out of range.
    package init(_ options: SamplingOptions) throws {
        try options.validate()
        self.options = options
        seed = options.seed ?? UInt64.random(in: 0 ... .max)
        random = RandomSource(seed: seed)
    }

    /// One token that may be drawn.
    package struct Candidate: Sendable, Equatable {
        package var token: Int32
        /// A logit after penalty and temperature, then a probability.
        package var weight: Double
    }

    /// The choice of the tokens after those seen so far, for a decoder that makes it by itself.
    package var choice: TokenChoice {
        TokenChoice(
            temperature: options.temperature, topK: options.topK, topP: options.topP, minP: options.minP,
            repetitionPenalty: options.repetitionPenalty, random: random.words, seen: seen)
    }

    /// Counts `tokens` as seen, for the repetition penalty.
    package mutating func observe(_ tokens: some Sequence<Int32>) {
        if options.repetitionPenalty != 1 { seen.formUnion(tokens) }
    }

    /// The next token; it counts as seen from then on.
    ///
    /// - Parameter logits: One number for each token of the vocabulary; overwritten by the repetition penalty.
    /// - Throws: `EngineError` where a logit is NaN or infinite.
    package mutating func next(_ logits: UnsafeMutableBufferPointer<Float>) throws -> Int32 {
        try penalize(logits)
        let token: Int32
        if options.temperature == 0 {
            token = Self.mostLikely(UnsafeBufferPointer(logits))
        } else {
            let candidates = remaining(UnsafeBufferPointer(logits))
            token = Self.draw(candidates, at: random.uniform())
        }
        observe(CollectionOfOne(token))
        return token
    }

    /// What steps 1 to 5 leave, most likely first, with probabilities that sum to 1. With temperature 0 it is one token.
    ///
    /// - Throws: `EngineError` where a logit is NaN or infinite.
    package func distribution(_ logits: [Float]) throws -> [Candidate] {
        var logits = logits
        return try logits.withUnsafeMutableBufferPointer { logits in
            try penalize(logits)
            let readable = UnsafeBufferPointer(logits)
            if options.temperature == 0 { return [Candidate(token: Self.mostLikely(readable), weight: 1)] }
            return remaining(readable).sorted(by: Self.isBefore)
        }
    }

    /// The token with the largest logit, the lowest id among equals.
    package static func mostLikely(_ logits: UnsafeBufferPointer<Float>) -> Int32 {
        var best = 0
        for index in 1..<max(logits.count, 1) where logits[index] > logits[best] { best = index }
        return Int32(best)
    }

    /// Checks the logits and applies step 1.
    private func penalize(_ logits: UnsafeMutableBufferPointer<Float>) throws {
        precondition(!logits.isEmpty, "a choice among no tokens")
        // Finite numbers times zero are zero; NaN and infinities are not, and stay in the sum.
        var check: Float = 0
        for logit in logits { check += logit * 0 }
        guard check == 0 else {
            let index = logits.firstIndex { !$0.isFinite } ?? 0
            throw EngineError(
                "the logit of token \(index) is \(logits[index]): the weights or the arithmetic of this model are broken"
            )
        }
        guard options.repetitionPenalty != 1 else { return }
        let penalty = Float(options.repetitionPenalty)
        for token in seen where Int(token) < logits.count {
            let logit = logits[Int(token)]
            logits[Int(token)] = logit > 0 ? logit / penalty : logit * penalty
        }
    }

    /// Steps 2 to 5. The order of the candidates depends on the logits alone.
    private func remaining(_ logits: UnsafeBufferPointer<Float>) -> [Candidate] {
        let largest = Double(logits[Int(Self.mostLikely(logits))])
        let scale = 1 / options.temperature
        var candidates =
            options.topK > 0 && options.topK < logits.count
            ? Self.largest(options.topK, of: logits)
            : logits.enumerated().map { Candidate(token: Int32($0.offset), weight: Double($0.element)) }
        var total = 0.0
        for index in candidates.indices {
            let weight = exp((candidates[index].weight - largest) * scale)
            candidates[index].weight = weight
            total += weight
        }
        if options.topP < 1 {
            Self.keepNucleus(of: &candidates, mass: options.topP * total)
        }
        // The most likely token has weight 1.
        if options.minP > 0 { candidates.removeAll { $0.weight < options.minP } }
        let sum = candidates.reduce(0) { $0 + $1.weight }
        for index in candidates.indices { candidates[index].weight /= sum }
        return candidates
    }
}
