import ArgumentParser
import CrumbCUDA
import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbGPU
import Logging

/// `crumb bench`: speed, in the terms of llama-bench.
struct Bench: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Measure speed: a prompt of 512 tokens, and 128 tokens one by one.",
        discussion: """
            pp512 is the reading of a prompt of 512 tokens, tg128 the generation of 128 tokens, each \
            after one run to warm up; the figures are mean ± standard deviation over --runs. GB/s is what \
            a token's weights and cache take to read, and the last column its share of what this machine \
            (or its GPU) reads from memory at most, measured just before.

            With --shape in place of a model, random weights of a well-known model's sizes are made on a \
            GPU, and prompts and decode steps are timed there, with the greedy choice and the tokens read by \
            the host. Joules for a token come from the card's counter of energy, where it has one.

            Examples:
              crumb bench smol
              crumb bench SmolLM2.gguf --threads 4 --prompt-tokens 128 --runs 3
              crumb bench --shape llama2-7b --batch 1,16
              crumb bench --shape llama2-7b --weights fp16

            Keys of --json: results (test, device, backend, threads, tokensPerSecond, standardDeviation, \
            bytesPerToken, gigabytesPerSecond, ...), readGigabytesPerSecond. With --shape: results (test, \
            batch, tokensPerSecond, milliseconds, deviceMilliseconds, bytesPerToken, gigabytesPerSecond, \
            shareOfReadBandwidth, joulesPerToken), shape, weights, context, runs, device, card, backend, \
            cuda, driver, readGigabytesPerSecond.
            """)

    @Argument(help: ArgumentHelp("The model to measure; none with --shape.", valueName: "model"))
    var model: String?

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

    @OptionGroup(title: "Shape")
    var random: ShapeArguments

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
        guard random.shape != nil else {
            return try require(model != nil, "What is to be measured is missing; give a model, or --shape.")
        }
        try require(model == nil, "A model and --shape exclude each other; leave one out.")
        try require(
            engine.place.device != .cpu && engine.backend == .automatic && !engine.verify,
            "--shape measures a GPU and reads no files; leave --device cpu, --backend and --verify out.")
    }

    func perform(_ console: Console) throws -> Outcome {
        if let shape = random.shape { return try measure(shape, console) }
        guard let path = model else { throw CommandError("there is no model to measure; give one, or --shape") }
        let pool = engine.pool()
        let model = try engine.load(path, pool: pool)
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

    private func measure(_ shape: ModelShape, _ console: Console) throws -> Outcome {
        let card = try Card(engine.place.index, logger: Logger(label: "crumb.bench"))
        let device = card.device
        // Before the model, which may leave little memory.
        console.show(Console.Progress(label: "read bandwidth", fraction: 0))
        let bandwidth = try DeviceBandwidth.bytesPerSecond(library: card.library)
        let weights = random.weights ?? .crumb
        console.show(Console.Progress(label: "random weights", fraction: 0.05))
        let gpu = try RandomModel.decoder(
            shape.configuration, weights.options, library: card.library, blas: card.blas)
        var options = ShapeBenchmark.Options(
            context: random.context ?? 256, steps: generatedTokens, promptTokens: promptTokens, repetitions: runs)
        if let batch = random.batch { options.batches = batch.sizes }
        let library = try? NVML.load()
        let counter = library?.card(device.info)
        let benchmark = try ShapeBenchmark.measure(gpu, options: options, energy: { counter?.energyMillijoules }) {
            next, fraction in
            console.show(Console.Progress(label: next, fraction: 0.1 + 0.9 * fraction))
        }
        return ShapeReport(
            shape: shape, weights: weights, context: options.context, runs: runs, card: device.info,
            release: library?.driverRelease, benchmark: benchmark, readBytesPerSecond: bandwidth
        ).outcome
    }
}
