/// How far an evaluation is.
package struct EvaluationProgress: Sendable {
    /// Windows that are complete.
    package let window: Int
    package let windows: Int
    /// Blocks of tokens run, over all windows, of `totalBlocks`; two for each block where two models are compared.
    package let block: Int
    package let totalBlocks: Int
    /// Over the windows so far; nil before the first is complete.
    package let perplexity: Double?

    /// From 0 to 1.
    package var fraction: Double { Double(block) / Double(totalBlocks) }
}
