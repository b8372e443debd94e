import ArgumentParser
import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbGPU

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

            With --kernels every kernel of a step is timed by itself, made for each number M of --tokens as \
            the engine makes it: many in one CUDA graph, on copies of the weights that are together three \
            times the second-level cache, median of --runs. MB are the weights, or keys and values, that \
            must be read; kernels without them find their input in the cache. ratio is the time of cuBLAS \
            on an fp16 matrix of the same shape over the kernel's. K of attention_decode is the context.

            With --ablation too, the packed products alone are timed, to show what their ideas bring: as they \
            are; on weights of the same shape without outliers; and, where packed_product serves (M up to 4), \
            with synchronous copies: a block asks for one piece of a record only when the one before it has \
            arrived. That codes stand in the order of the tensor cores' fragments, so that every load is \
            aligned, is the format itself: it cannot be switched off, and has no column.

            Examples:
              crumb bench smol
              crumb bench SmolLM2.gguf --threads 4 --prompt-tokens 128 --runs 3
              crumb bench --shape llama2-7b --batch 1,16
              crumb bench --shape llama2-7b --weights fp16 --csv shapes.csv
              crumb bench --kernels --shape llama2-70b --tokens 1,8,64 --csv kernels.csv
              crumb bench --kernels --ablation --tokens 1,4

            Keys of --json: results (test, device, backend, threads, tokensPerSecond, standardDeviation, \
            bytesPerToken, gigabytesPerSecond, ...), readGigabytesPerSecond. With --shape: results (test, \
            batch, tokensPerSecond, milliseconds, deviceMilliseconds, bytesPerToken, gigabytesPerSecond, \
            shareOfReadBandwidth, joulesPerToken), shape, weights, context, runs, device, card, backend, \
            cuda, driver, readGigabytesPerSecond. With --kernels: results (kernel, path, m, n, k, \
            microseconds, bytes, gigabytesPerSecond, shareOfReadBandwidth, cublasMicroseconds, ratio), \
            shape, runs, device, card, image, backend, cublas, cuda, driver, readGigabytesPerSecond. With \
            --ablation: results (kernel, path, m, n, k, microseconds, bytes, microsecondsWithoutOutliers, \
            bytesWithoutOutliers, outlierCost, synchronousMicroseconds, asynchronousGain), shape, runs, device, \
            card, image, backend, cuda, driver.
            """)

    @Argument(help: ArgumentHelp("The model to measure; none with --shape or --kernels.", valueName: "model"))
    var model: String?

    @Option(
        name: [.customShort("p"), .long],
        help: ArgumentHelp("Tokens of the prompt; 0 leaves this test out. (default: 512)", valueName: "n"))
    var promptTokens: Int?

    @Option(
        name: [.customShort("n"), .long],
        help: ArgumentHelp(
            "Tokens to generate; 0 leaves this test out. With --kernels: each number M of tokens to time products with, from 1 to \(KernelBenchmark.mostTokens). (default: 128; 1,2,4,8,16,32,64,256,1024; with --ablation 1)",
            valueName: "n,..."))
    var tokens: TokenCounts?

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Runs of each test. (default: 5; with --kernels 11)", valueName: "n"))
    var runs: Int?

    @OptionGroup(title: "Kernels")
    var step: KernelArguments

    @OptionGroup(title: "Shape")
    var random: ShapeArguments

    @OptionGroup(title: "Results")
    var results: ResultArguments

    @OptionGroup(title: "Engine")
    var engine: EngineArguments

    @OptionGroup(title: "Output")
    var output: OutputArguments

    var promptLength: Int { promptTokens ?? 512 }
    var generatedTokens: Int { tokens?.counts.first ?? 128 }
    var runCount: Int { runs ?? (step.kernels ? 11 : 5) }

    mutating func validate() throws {
        try require((1...1000).contains(runCount), "--runs is \(runCount); it must lie between 1 and 1000.")
        if step.kernels { try validateKernels() } else { try validateTests() }
        guard step.kernels || random.shape != nil else {
            try require(results.csv == nil, "--csv belongs to --shape or --kernels, neither of which is given.")
            return try require(model != nil, "What is to be measured is missing; give a model, --shape or --kernels.")
        }
        let asked = step.kernels ? "--kernels" : "--shape"
        try require(model == nil, "A model and \(asked) exclude each other; leave one out.")
        try require(
            engine.place.device != .cpu && engine.backend == .automatic && !engine.verify,
            "\(asked) measures a GPU and reads no files; leave --device cpu, --backend and --verify out.")
    }

    private func validateTests() throws {
        try require((0...1_000_000).contains(promptLength), "--prompt-tokens must lie between 0 and 1000000.")
        try require(tokens.map { $0.counts.count == 1 }, "--tokens takes several numbers only with --kernels.")
        try require(
            promptLength + generatedTokens > 0, "--prompt-tokens and --tokens are both 0; nothing is left to measure.")
    }

    private func validateKernels() throws {
        let (asked, most) =
            step.ablation ? ("--ablation", AblationBenchmark.mostTokens) : ("--kernels", KernelBenchmark.mostTokens)
        try require(
            tokens.map { $0.counts.allSatisfy { (1...most).contains($0) } },
            "--tokens must lie between 1 and \(most) with \(asked).")
        try require(
            promptTokens == nil && random.weights == nil && random.batch == nil && random.context == nil,
            "--kernels times single kernels; leave --prompt-tokens, --weights, --batch and --context out.")
    }

    func perform(_ console: Console) throws -> Outcome {
        if step.ablation { return try measureAblation(console) }
        if step.kernels { return try measureKernels(console) }
        if let shape = random.shape { return try measure(shape, console) }
        guard let path = model else {
            throw CommandError("there is no model to measure; give one, --shape or --kernels")
        }
        let pool = engine.pool()
        let model = try engine.load(path, pool: pool)
        let benchmark = try SpeedBenchmark.measure(
            model.decoder, beginning: model.beginningToken, pool: pool,
            options: SpeedBenchmark.Options(
                promptTokens: promptLength, generatedTokens: generatedTokens, repetitions: runCount)
        ) { next, fraction in
            try model.checkpoint.checkUnchanged()
            console.show(Console.Progress(label: next, fraction: fraction))
        }
        return BenchmarkReport(model: model, benchmark: benchmark).outcome
    }
}
