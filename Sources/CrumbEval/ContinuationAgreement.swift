import CrumbEngine

/// How long a model's greedy continuations are the same as its source's.
package struct ContinuationAgreement: Sendable {
    /// What came of one prompt.
    package struct Result: Sendable, Equatable {
        /// Tokens of the source's continuation.
        package let tokens: Int
        /// Tokens before the first difference.
        package let agreeing: Int
        /// Both are the same, and end together where they end.
        package let toTheEnd: Bool

        /// Compares a continuation with the source's; it may lack what comes after the first difference.
        package init(_ continuation: GreedyWriter.Continuation, source: GreedyWriter.Continuation) {
            tokens = source.tokens.count
            agreeing = zip(continuation.tokens, source.tokens).prefix { $0 == $1 }.count
            toTheEnd = continuation == source
        }
    }

    /// One for each prompt, in order.
    package let results: [Result]
    package let seconds: Double

    package init(results: [Result], seconds: Double) {
        self.results = results
        self.seconds = seconds
    }

    /// Tokens before the first difference, on average, with the standard error.
    package var agreeing: RunningMean { mean { Double($0.agreeing) } }

    /// Tokens before the first difference, the middle one of all prompts; of an even number the mean of the middle two.
    package var medianAgreeing: Double {
        let sorted = results.map(\.agreeing).sorted()
        guard !sorted.isEmpty else { return 0 }
        return Double(sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    /// Tokens of the source's continuations on average: fewer than asked for where they end by themselves.
    package var tokens: RunningMean { mean { Double($0.tokens) } }

    /// Share of the prompts where both are the same to the end.
    package var shareToTheEnd: Double { mean { $0.toTheEnd ? 1 : 0 }.mean }

    private func mean(_ value: (Result) -> Double) -> RunningMean {
        var mean = RunningMean()
        for result in results { mean.add(value(result)) }
        return mean
    }

    /// Lets both models continue each prompt. The model stops where it first differs.
    ///
    /// - Parameters:
    ///   - prompts: Tokens, at least one each.
    ///   - limit: Tokens of a continuation at most.
    ///   - progress: Called before each prompt with the results so far.
    package static func measure(
        source: GreedyWriter, model: GreedyWriter, prompts: [[Int32]], limit: Int,
        progress: ([Result]) throws -> Void = { _ in }
    ) throws -> ContinuationAgreement {
        let clock = ContinuousClock()
        let start = clock.now
        var results: [Result] = []
        for prompt in prompts {
            try progress(results)
            let expected = try source.write(after: prompt, limit: limit)
            let found = try model.write(after: prompt, limit: limit) { tokens in
                tokens.count <= expected.tokens.count && tokens.last == expected.tokens[tokens.count - 1]
            }
            results.append(Result(found, source: expected))
        }
        return ContinuationAgreement(results: results, seconds: start.duration(to: clock.now).seconds)
    }
}
