import CrumbEngine
package import CrumbModel
package import CrumbThreads
import Glibc

/// Perplexity of a model over the windows of a text, counted as llama.cpp counts it; see `EvaluationWindows`.
package struct Perplexity: Sendable {
    /// Negative log likelihood of the counted tokens, in nats.
    package internal(set) var loss = RunningMean()
    /// The perplexity after each window.
    package internal(set) var afterWindows: [Double] = []
    package internal(set) var seconds = 0.0

    /// exp(mean loss).
    package var value: Double { exp(loss.mean) }
    /// The standard error of `value`: that of the mean loss, carried through the exponential.
    package var standardError: Double { loss.standardError * value }
    /// Predictions counted.
    package var tokens: Int { loss.count }

    /// Measures a model.
    ///
    /// - Parameter progress: Called after each block of tokens.
    /// - Throws: `EvaluationError` where a logit is not finite or a token is outside the vocabulary.
    package static func measure(
        _ decoder: any Decoder, windows: EvaluationWindows, pool: ThreadPool,
        progress: (EvaluationProgress) throws -> Void = { _ in }
    ) throws -> Perplexity {
        try windows.check(vocabulary: decoder.configuration.vocabSize)
        let clock = ContinuousClock()
        let start = clock.now
        var result = Perplexity()
        let pass = try WindowPass(decoder, context: windows.context)
        let blocks = WindowPass.blocks(of: windows.context)
        for window in 0..<windows.count {
            let inputs = windows.inputs(window)
            pass.begin()
            for (index, block) in blocks.enumerated() {
                try pass.run(inputs[block])
                for rows in WindowPass.countedRows(of: block, in: windows) {
                    let logits = try pass.logits(rows: rows)
                    let losses = pool.map(count: rows.count) { row in
                        let target = windows.target(window, at: block.lowerBound + rows.lowerBound + row)
                        return -LogProbabilities(logits.values(row))[Int(target)]
                    }
                    for loss in losses { try result.add(loss, window: window) }
                }
                if index == blocks.count - 1 { result.afterWindows.append(result.value) }
                try progress(
                    EvaluationProgress(
                        window: result.afterWindows.count, windows: windows.count,
                        block: window * blocks.count + index + 1, totalBlocks: windows.count * blocks.count,
                        perplexity: result.afterWindows.last))
            }
        }
        result.seconds = start.duration(to: clock.now).seconds
        return result
    }

    mutating func add(_ loss: Double, window: Int) throws {
        guard loss.isFinite else {
            throw EvaluationError(
                "a prediction in window \(window + 1) is not finite: the weights or the arithmetic of this model are broken"
            )
        }
        self.loss.add(loss)
    }
}
