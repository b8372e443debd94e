import ArgumentParser
import CrumbEngine

/// How the next token is picked. What is left out comes from the model's
/// `generation_config.json`, and what is not there from Crumb's defaults.
struct SamplingArguments: ParsableArguments {
    @Option(
        name: [.customShort("n"), .customLong("tokens")],
        help: ArgumentHelp(
            "Generate at most this many tokens. (default: 256; in chat, what the context holds)", valueName: "n"))
    var maximumTokens: Int?

    @Option(
        help: ArgumentHelp(
            "0 always takes the most likely token; higher is more adventurous. (default: the model's own, else 0.8)",
            valueName: "t"))
    var temperature: Double?

    @Option(
        help: ArgumentHelp(
            "Choose among the k most likely tokens only; 0 means all. (default: the model's own, else 40)",
            valueName: "k"))
    var topK: Int?

    @Option(
        help: ArgumentHelp(
            "Choose among the fewest tokens that together have this probability. (default: the model's own, else 0.95)",
            valueName: "p"))
    var topP: Double?

    @Option(
        help: ArgumentHelp(
            "Drop tokens less likely than this share of the most likely one. (default: the model's own, else 0.05)",
            valueName: "p"))
    var minP: Double?

    @Option(
        help: ArgumentHelp(
            "Divide the logits of tokens seen before by this; 1 changes nothing. (default: the model's own, else 1)",
            valueName: "r"))
    var repetitionPenalty: Double?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Stop before this text; may be given several times.", valueName: "text"))
    var stop: [String] = []

    @Option(
        help: ArgumentHelp(
            "Start of the random numbers: the same seed gives the same text. (default: a new one)", valueName: "n"))
    var seed: UInt64?

    mutating func validate() throws {
        try require(maximumTokens.map { $0 >= 1 }, "--tokens is \(maximumTokens ?? 0); it must be at least 1.")
        try require(!stop.contains(""), "--stop must not be empty.")
        try require(stop.count <= 64, "--stop is given \(stop.count) times; 64 is the most.")
        do {
            try sampling(over: SamplingOptions()).validate()
        } catch let error as EngineError {
            throw ValidationError(error.description)
        }
    }

    /// What was asked for, and for the rest what the model recommends.
    ///
    /// - Parameter limit: Tokens where `-n` is not given; nil goes on until the answer ends or the context is full.
    func generation(for model: LoadedModel, limit: Int?) -> GenerationOptions {
        GenerationOptions(
            maxTokens: maximumTokens ?? limit, stopStrings: stop, sampling: sampling(over: model.samplingDefaults))
    }

    private func sampling(over defaults: SamplingOptions) -> SamplingOptions {
        SamplingOptions(
            temperature: temperature ?? defaults.temperature, topK: topK ?? defaults.topK, topP: topP ?? defaults.topP,
            minP: minP ?? defaults.minP, repetitionPenalty: repetitionPenalty ?? defaults.repetitionPenalty, seed: seed)
    }
}
