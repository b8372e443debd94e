import ArgumentParser
import CrumbEngine
import CrumbEval
import CrumbFormats

/// `crumb bench`: speed, in the terms of llama-bench.
struct Bench: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Measure speed: a prompt of 512 tokens, and 128 tokens one by one.",
        discussion: """
            pp512 is the reading of a prompt of 512 tokens, tg128 the generation of 128 tokens, each \
            after one run to warm up; the figures are mean ± standard deviation over --runs. GB/s is what \
            a token's weights and cache take to read, and the last column its share of what this machine \
            reads from memory at most, measured just before.

            Examples:
              crumb bench smol
              crumb bench SmolLM2.gguf --threads 4 --prompt-tokens 128 --runs 3

            Keys of --json: results (test, backend, threads, tokensPerSecond, standardDeviation, \
            bytesPerToken, gigabytesPerSecond, ...), readGigabytesPerSecond.
            """)

    @Argument(help: ArgumentHelp("The model to measure.", valueName: "model"))
    var model: String

    @Option(
        name: [.customShort("p"), .long],
        help: ArgumentHelp("Tokens of the prompt; 0 leaves this test out.", valueName: "n"))
    var promptTokens = 512

    @Option(
        name: [.customShort("n"), .customLong("tokens")],
        help: ArgumentHelp("Tokens to generate; 0 leaves this test out.", valueName: "n"))
    var generatedTokens = 128

    @Option(name: [.short, .long], help: ArgumentHelp("Runs of each test.", valueName: "n"))
    var runs = 5

    @OptionGroup(title: "Engine")
    var engine: EngineArguments

    @OptionGroup(title: "Output")
    var output: OutputArguments

    mutating func validate() throws {
        try require((0...1_000_000).contains(promptTokens), "--prompt-tokens must lie between 0 and 1000000.")
        try require((0...1_000_000).contains(generatedTokens), "--tokens must lie between 0 and 1000000.")
        try require(
            promptTokens + generatedTokens > 0, "--prompt-tokens and --tokens are both 0; nothing is left to measure.")
        try require((1...1000).contains(runs), "--runs is \(runs); it must lie between 1 and 1000.")
    }

    func perform(_ console: Console) throws -> Outcome {
        let pool = engine.pool()
        let model = try engine.load(model, pool: pool)
        let benchmark = try SpeedBenchmark.measure(
            model.decoder, beginning: model.beginningToken, pool: pool,
            options: SpeedBenchmark.Options(
                promptTokens: promptTokens, generatedTokens: generatedTokens, repetitions: runs)
        ) { next, fraction in
            try model.checkpoint.checkUnchanged()
            console.show(Console.Progress(label: next, fraction: fraction))
        }
        return BenchmarkReport(model: model, benchmark: benchmark).outcome
    }
}
