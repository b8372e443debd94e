package import CrumbEngine
import CrumbFormats
import CrumbModel

/// A model that continues one prompt after the other with the most likely tokens.
package struct GreedyWriter {
    /// What was written.
    package struct Continuation: Sendable, Equatable {
        package var tokens: [Int32]
        /// Whether the model ended it by itself.
        package var hasEnded: Bool

        package init(tokens: [Int32], hasEnded: Bool) {
            self.tokens = tokens
            self.hasEnded = hasEnded
        }
    }

    private let loop: GenerationLoop

    package init(_ loop: GenerationLoop) { self.loop = loop }

    /// - Parameter capacity: Tokens of the longest prompt and its continuation together.
    /// - Throws: `EvaluationError` where the model's context is shorter; `ModelError` when there is no memory for it.
    package init(_ model: LoadedModel, capacity: Int) throws {
        let longest = model.configuration.maxPositionEmbeddings
        guard capacity <= longest else {
            throw EvaluationError(
                "prompt and continuation have up to \(capacity) tokens, but \(model.path) can have \(longest) at most: "
                    + "ask for shorter continuations")
        }
        loop = GenerationLoop(
            timeline: try DecoderTimeline(model.decoder, capacity: capacity), endTokens: model.endTokens,
            checkWeights: { try model.checkpoint.checkUnchanged() })
    }

    /// Continues a prompt.
    ///
    /// - Parameters:
    ///   - limit: Tokens at most.
    ///   - goesOn: Asked after each token whether more are wanted.
    package func write(
        after prompt: [Int32], limit: Int, while goesOn: @escaping ([Int32]) -> Bool = { _ in true }
    ) throws -> Continuation {
        var tokens: [Int32] = []
        var isEnough = false
        let generation = try loop.generate(
            prompt, options: GenerationOptions(maxTokens: limit, sampling: .greedy),
            // Tokens are all that is wanted.
            decoder: GenerationLoop.TextDecoder(
                next: { token in
                    tokens.append(token)
                    isEnough = !goesOn(tokens)
                    return ""
                }, finish: { "" }),
            isCancelled: { isEnough })
        return Continuation(tokens: generation.tokens, hasEnded: generation.finish == .endOfText)
    }
}
