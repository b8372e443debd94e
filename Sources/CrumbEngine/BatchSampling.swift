import CrumbFormats
package import CrumbModel
package import CrumbThreads
import CrumbTokenizer

/// Draws many sequences from a model at once: text of its own making, as input for a calibration (Liu et al., LLM-QAT,
/// section 3.1).
///
/// A sequence starts with the token that the tokenizer puts before texts, or with a random ordinary token where it puts
/// none. An end token is replaced by another such start, so that every sequence has all its tokens. The result depends
/// on the arguments and the model, not on the number of threads.
package struct BatchSampling {
    /// How many sequences; their keys and values are all in memory at once.
    package var sequences: Int
    /// Tokens of each sequence.
    package var tokens: Int
    package var seed: UInt64
    package var temperature: Double

    package init(sequences: Int, tokens: Int, seed: UInt64, temperature: Double = 1) {
        self.sequences = sequences
        self.tokens = tokens
        self.seed = seed
        self.temperature = temperature
    }

    /// What a sequence may start with: one of these tokens, and none that ends it.
    package struct Starts: Sendable {
        /// Not empty.
        package let candidates: [Int32]
        package let endTokens: Set<Int32>

        /// - Parameter candidates: At least one.
        package init(candidates: [Int32], endTokens: Set<Int32>) {
            precondition(!candidates.isEmpty, "no token to start with")
            self.candidates = candidates
            self.endTokens = endTokens
        }
    }

    /// One sequence in the making.
    private struct Lane {
        let cache: any SequenceCache
        var sampler: Sampler
        var random: RandomSource
        var tokens: [Int32]
        var failure: (any Error)?

        mutating func start(_ starts: Starts) {
            tokens.append(starts.candidates[random.integer(below: starts.candidates.count)])
        }

        /// Chooses the next token from its logits.
        mutating func step(_ logits: UnsafeMutableBufferPointer<Float>, _ starts: Starts) {
            do {
                let token = try sampler.next(logits)
                if starts.endTokens.contains(token) { start(starts) } else { tokens.append(token) }
            } catch {
                failure = error
            }
        }
    }

    /// Draws the sequences.
    ///
    /// - Parameter isCancelled: Asked before each step, with the share of the work that is done.
    /// - Returns: `sequences` lists of `tokens` tokens, or nil when cancelled.
    /// - Throws: `EngineError` for numbers out of range or broken logits; `ModelError` when there is no memory; what
    ///   `isCancelled` throws.
    package func draw(
        _ decoder: any Decoder, starts: Starts, pool: ThreadPool,
        isCancelled: (_ fraction: Double) throws -> Bool = { _ in false }
    ) throws -> [[Int32]]? {
        let longest = decoder.configuration.maxPositionEmbeddings
        guard (1...4096).contains(sequences), (1...longest).contains(tokens) else {
            throw EngineError(
                "\(sequences) sequences of \(tokens) tokens cannot be drawn: sequences go from 1 to 4096, tokens from 1 to "
                    + "the model's context of \(longest)")
        }
        let caches = try decoder.makeCaches(sequences: sequences, capacity: tokens)
        var lanes = try caches.enumerated().map { index, cache in
            var random = RandomSource(seed: seed, stream: index)
            var options = SamplingOptions.ancestral(seed: random.next())
            options.temperature = temperature
            var lane = Lane(cache: cache, sampler: try Sampler(options), random: random, tokens: [])
            lane.start(starts)
            return lane
        }
        for step in 1..<max(tokens, 1) {
            if try isCancelled(Double(step) / Double(tokens)) { return nil }
            let batch = try Batch(lanes.map { ($0.cache, [$0.tokens[step - 1]], .last) })
            let logits = try decoder.logits(for: batch)
            lanes.withUnsafeMutableBufferPointer { lanes in
                let lanes = lanes
                pool.run(count: lanes.count) { index in
                    let row = UnsafeMutableBufferPointer(start: logits.row(index), count: logits.columns)
                    lanes[index].step(row, starts)
                }
            }
            if let failure = lanes.lazy.compactMap(\.failure).first { throw failure }
        }
        return lanes.map(\.tokens)
    }
}

extension LoadedModel {
    /// The starts of sequences drawn from this model.
    package var sequenceStarts: BatchSampling.Starts {
        let ordinary: [Int32]
        if let beginning = beginningToken {
            ordinary = [beginning]
        } else {
            ordinary = (0..<Int32(tokenizer.vocabularySize)).filter { token in
                tokenizer.token(token) != nil && !tokenizer.isSpecial(token) && !endTokens.contains(token)
            }
        }
        return BatchSampling.Starts(candidates: ordinary.isEmpty ? [0] : ordinary, endTokens: endTokens)
    }

    /// Draws sequences from this model; see `BatchSampling`.
    ///
    /// - Throws: as `BatchSampling.draw`; `FormatError` where the model's file changed since it was opened.
    package func sampleBatch(
        sequences: Int, tokens: Int, seed: UInt64, temperature: Double = 1,
        isCancelled: (_ fraction: Double) -> Bool = { _ in false }
    ) throws -> [[Int32]]? {
        try BatchSampling(sequences: sequences, tokens: tokens, seed: seed, temperature: temperature)
            .draw(decoder, starts: sequenceStarts, pool: pool) { fraction in
                try checkpoint.checkUnchanged()
                return isCancelled(fraction)
            }
    }
}
