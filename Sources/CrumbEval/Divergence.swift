import CrumbEngine
package import CrumbModel
package import CrumbThreads

/// How far a quantized model's predictions are from its source's, over the same windows and counted positions as the
/// perplexity of both.
package struct Divergence: Sendable {
    package private(set) var source = Perplexity()
    package private(set) var quantized = Perplexity()
    /// KL(source || quantized) of the counted predictions, in nats.
    package private(set) var divergence = RunningMean()
    /// 1 where both models' most likely tokens are the same, 0 elsewhere.
    package private(set) var agreement = RunningMean()

    /// Perplexity of the quantized model divided by the source's.
    package var ratio: Double { quantized.value / source.value }

    /// Measures both models block by block side by side, so that no logits are stored.
    ///
    /// - Throws: `EvaluationError` where the vocabularies differ in size, a token is outside them, or a logit is not finite.
    package static func measure(
        source: any Decoder, quantized: any Decoder, windows: EvaluationWindows, pool: ThreadPool,
        progress: (EvaluationProgress) throws -> Void = { _ in }
    ) throws -> Divergence {
        let sizes = (source.configuration.vocabSize, quantized.configuration.vocabSize)
        guard sizes.0 == sizes.1 else {
            throw EvaluationError(
                "the source has a vocabulary of \(sizes.0) tokens, the model one of \(sizes.1): they cannot be compared"
            )
        }
        try windows.check(vocabulary: sizes.0)
        let clock = ContinuousClock()
        var result = Divergence()
        let sourcePass = try WindowPass(source, context: windows.context)
        let quantizedPass = try WindowPass(quantized, context: windows.context)
        let blocks = WindowPass.blocks(of: windows.context)
        for window in 0..<windows.count {
            let inputs = windows.inputs(window)
            sourcePass.begin()
            quantizedPass.begin()
            for (index, block) in blocks.enumerated() {
                func report(step: Int) throws {
                    try progress(
                        EvaluationProgress(
                            window: result.quantized.afterWindows.count, windows: windows.count,
                            block: 2 * (window * blocks.count + index) + step,
                            totalBlocks: 2 * windows.count * blocks.count,
                            perplexity: result.quantized.afterWindows.last))
                }
                let start = clock.now
                try sourcePass.run(inputs[block])
                let middle = clock.now
                try report(step: 1)
                try quantizedPass.run(inputs[block])
                for rows in WindowPass.countedRows(of: block, in: windows) {
                    let p = try sourcePass.logits(rows: rows)
                    let q = try quantizedPass.logits(rows: rows)
                    let comparisons = pool.map(count: rows.count) { row in
                        Comparison(
                            LogProbabilities(p.values(row)), LogProbabilities(q.values(row)),
                            target: windows.target(window, at: block.lowerBound + rows.lowerBound + row))
                    }
                    for comparison in comparisons { try result.add(comparison, window: window) }
                }
                result.source.seconds += start.duration(to: middle).seconds
                result.quantized.seconds += middle.duration(to: clock.now).seconds
                if index == blocks.count - 1 {
                    result.source.afterWindows.append(result.source.value)
                    result.quantized.afterWindows.append(result.quantized.value)
                }
                try report(step: 2)
            }
        }
        return result
    }

    /// One counted prediction of both models.
    private struct Comparison {
        let sourceLoss: Double
        let quantizedLoss: Double
        let divergence: Double
        let agrees: Bool

        init(_ source: LogProbabilities, _ quantized: LogProbabilities, target: Int32) {
            sourceLoss = -source[Int(target)]
            quantizedLoss = -quantized[Int(target)]
            divergence = source.divergence(of: quantized)
            agrees = source.mostLikely == quantized.mostLikely
        }
    }

    private mutating func add(_ comparison: Comparison, window: Int) throws {
        try source.add(comparison.sourceLoss, window: window)
        try quantized.add(comparison.quantizedLoss, window: window)
        divergence.add(comparison.divergence)
        agreement.add(comparison.agrees ? 1 : 0)
    }
}
