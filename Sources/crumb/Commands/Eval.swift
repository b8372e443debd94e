import ArgumentParser
import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbReport
import CrumbThreads
import CrumbTokenizer

/// `crumb eval`: perplexity, and distance to the unquantized source, by predictions or by greedy continuations.
struct Eval: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Measure perplexity, and the distance to the unquantized source.",
        discussion: """
            The text is cut into windows of --context tokens that do not overlap, and the tokens of each \
            window's second half are predicted from all before them (as llama.cpp does it). Perplexity is \
            the exponential of their mean negative log-likelihood; its standard error comes from their \
            spread.

            --against SOURCE runs a second model on the same tokens and adds the mean Kullback-Leibler \
            divergence of MODEL's predictions from SOURCE's, in nats per token, and how often both find \
            the same token most likely. Both need the same vocabulary.

            --continuations measures something else: both models continue prompts with the most likely \
            tokens, and the tokens before the first difference are counted. The prompts are part of the \
            program (questions, code, stories, letters, lists, several languages; asked as messages where \
            SOURCE has a chat template), or with --text pieces of 64 tokens spread evenly over it.

            Examples:
              crumb eval smol --text wiki.txt
              crumb eval smol --text wiki.txt --windows 8 --against SmolLM2.gguf --json
              crumb eval smol --continuations --against SmolLM2.gguf

            Keys of --json: perplexity, standardError, tokens, meanKL, topOneAgreement (the last two \
            null without --against), windows, context, seconds, device, backend; with --against also \
            sourceDevice and sourceBackend, since one model may fit a GPU and the other not. With \
            --continuations: agreeingTokens, standardError, medianAgreeingTokens, agreeingToTheEnd (a share), \
            sourceTokens (means over the prompts), prompts, continuationTokens, agreeingTokensByPrompt, seconds, \
            and the devices.
            """)

    @Argument(help: ArgumentHelp("The model to measure.", valueName: "model"))
    var model: String

    @Option(
        help: ArgumentHelp(
            "The text to predict (UTF-8); with --continuations, to cut prompts from. (default: none; with --continuations, prompts that are part of the program)",
            valueName: "file"))
    var text: String?

    @OptionGroup
    var measured: WindowArguments

    @Option(help: ArgumentHelp("The unquantized model to compare with.", valueName: "source"))
    var against: String?

    @Option(
        help: ArgumentHelp(
            "Where --against runs: with the same model, how far two devices agree. (default: as --device)",
            valueName: "name"),
        transform: DeviceArguments.read)
    var againstDevice: DeviceChoice?

    @Option(help: ArgumentHelp("Of the CPU, where --against runs there. (default: as --backend)", valueName: "name"))
    var againstBackend: BackendChoice?

    @OptionGroup(title: "Continuations")
    var continuations: ContinuationArguments

    @OptionGroup(title: "Engine")
    var engine: EngineArguments

    @OptionGroup(title: "Output")
    var output: OutputArguments

    mutating func validate() throws {
        try require(
            text != nil || continuations.isWanted,
            "--text is missing: the text to predict, unless --continuations is given.")
        try require(
            !continuations.isWanted || against != nil,
            "--continuations compares with --against SOURCE, which is missing.")
        try require(
            !continuations.isWanted || measured.windows == nil,
            "--windows is about perplexity and excludes --continuations.")
        try require(
            against != nil || (againstDevice == nil && againstBackend == nil),
            "--against-device and --against-backend are about --against SOURCE, which is missing.")
    }

    func perform(_ console: Console) throws -> Outcome {
        let words = try text.map { try TextFile.read($0) }
        let pool = engine.pool()
        let model = try engine.load(model, pool: pool)
        guard continuations.isWanted, let source = try source(of: model, pool: pool) else {
            return try predictions(of: words ?? "", by: model, pool: pool, console)
        }
        return try continuations.measure(
            source: source, model: model,
            text: words.map { words in
                let tokens = model.tokenizer.encode(words, addSpecialTokens: false)
                return Array(tokens[measured.portion.range(of: tokens.count)])
            }, console)
    }

    /// The model of `--against`.
    private func source(of model: LoadedModel, pool: ThreadPool) throws -> LoadedModel? {
        let source = try against.map {
            try engine.load($0, pool: pool, device: againstDevice, backend: againstBackend)
        }
        if let source { try model.checkSameVocabulary(as: source) }
        return source
    }

    private func predictions(
        of words: String, by model: LoadedModel, pool: ThreadPool, _ console: Console
    ) throws -> Outcome {
        let windows = try EvaluationWindows(
            tokens: model.tokenizer.encode(words, addSpecialTokens: false), beginning: model.beginningToken,
            context: measured.context, limit: measured.windows, portion: measured.portion)
        let source = try source(of: model, pool: pool)
        // After every block of tokens: a file that was cut meanwhile must not be touched again.
        func report(_ progress: EvaluationProgress) throws {
            try model.checkpoint.checkUnchanged()
            try source?.checkpoint.checkUnchanged()
            var label = "window \(min(progress.window + 1, progress.windows)) of \(progress.windows)"
            if let perplexity = progress.perplexity {
                label += ", perplexity \(Figures.decimal(perplexity, places: 3))"
            }
            console.show(Console.Progress(label: label, fraction: progress.fraction))
        }
        guard let source else {
            let result = try Perplexity.measure(model.decoder, windows: windows, pool: pool, progress: report)
            return EvaluationReport(windows: windows, model: result, placement: model.placement).outcome
        }
        let result = try Divergence.measure(
            source: source.decoder, quantized: model.decoder, windows: windows, pool: pool, progress: report)
        return EvaluationReport(
            windows: windows, model: result.quantized, placement: model.placement, divergence: result,
            sourcePlacement: source.placement
        ).outcome
    }
}
