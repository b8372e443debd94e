import ArgumentParser
import CrumbEngine
import CrumbEval
import CrumbReport

/// Greedy continuations of two models, in place of predictions.
struct ContinuationArguments: ParsableArguments {
    @Flag(
        name: .customLong("continuations"),
        help: "Count the tokens before MODEL's greedy continuations of prompts first differ from those of --against.")
    var isWanted = false

    @Option(help: ArgumentHelp("With --continuations: prompts to continue. (default: 64)", valueName: "n"))
    var prompts: Int?

    @Option(
        help: ArgumentHelp("With --continuations: tokens of a continuation at most. (default: 128)", valueName: "n"))
    var continuationTokens: Int?

    mutating func validate() throws {
        try require(
            isWanted || (prompts == nil && continuationTokens == nil),
            "--prompts and --continuation-tokens belong to --continuations, which is not given.")
        try require(prompts.map { $0 >= 1 }, "--prompts must be at least 1.")
        try require(continuationTokens.map { $0 >= 1 }, "--continuation-tokens must be at least 1.")
    }

    /// - Parameter text: The tokens to cut prompts from; nil takes the built-in ones.
    func measure(
        source: LoadedModel, model: LoadedModel, text: [Int32]?, _ console: Console
    ) throws -> Outcome {
        let count = prompts ?? 64
        let limit = continuationTokens ?? 128
        let prompts =
            try text.map { try ContinuationPrompts.cut($0, count: count, beginning: model.beginningToken) }
            ?? ContinuationPrompts.encode(count: count, by: source)
        // One position more than needed, so that a prompt that just fits is not refused.
        let capacity = (prompts.map(\.count).max() ?? 0) + limit + 1
        let result = try ContinuationAgreement.measure(
            source: GreedyWriter(source, capacity: capacity), model: GreedyWriter(model, capacity: capacity),
            prompts: prompts, limit: limit
        ) { results in
            var label = "prompt \(results.count + 1) of \(count)"
            if !results.isEmpty {
                let mean = ContinuationAgreement(results: results, seconds: 0).agreeing.mean
                label += ", \(Figures.decimal(mean, places: 1)) tokens agree"
            }
            console.show(Console.Progress(label: label, fraction: Double(results.count) / Double(count)))
        }
        return ContinuationReport(
            agreement: result, limit: limit, placement: model.placement, sourcePlacement: source.placement
        ).outcome
    }
}
