import ArgumentParser
import CrumbEngine

/// `crumb run`: one prompt, one answer, streamed.
struct Run: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Let a model continue a text or answer a prompt.",
        discussion: """
            MODEL is a folder that `crumb quantize` wrote, or a GGUF file or Hugging Face folder, which \
            runs unquantized. The text appears on standard output as it is generated.

            Without --chat the model continues the prompt as plain text. With --chat the prompt becomes \
            a user's message in the model's own chat template.

            Examples:
              crumb run smol -p "The capital of France is" -n 20
              crumb run smol --chat -p "Explain tides." --temperature 0.7 --seed 1
              crumb run smol --chat -p - < question.txt

            Keys of --json: text, promptTokens, generatedTokens, promptTokensPerSecond, \
            tokensPerSecond, stopReason, device, backend.
            """)

    /// Tokens of an answer where nothing is asked for: a page, and an end for models that find none.
    private static let defaultTokens = 256

    @Argument(help: ArgumentHelp("The model to run.", valueName: "model"))
    var model: String

    @Option(
        name: [.short, .long], parsing: .unconditional,
        help: ArgumentHelp("The text to begin with; - reads it from standard input.", valueName: "text"))
    var prompt: String

    @Flag(help: "Put the prompt into the model's chat template as a user's message.")
    var chat = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("With --chat: what the model is told about its role.", valueName: "text"))
    var system: String?

    @Option(
        help: ArgumentHelp("Tokens of prompt and answer together. (default: as many as are needed)", valueName: "n"))
    var context: Int?

    @OptionGroup(title: "Sampling")
    var sampling: SamplingArguments

    @OptionGroup(title: "Engine")
    var engine: EngineArguments

    @OptionGroup(title: "Output")
    var output: OutputArguments

    mutating func validate() throws {
        try require(system == nil || chat, "--system needs --chat.")
        try require(context.map { $0 >= 1 }, "--context must be at least 1.")
    }

    func perform(_ console: Console) throws -> Outcome {
        let text = prompt == "-" ? try StandardInput().rest() : prompt
        let model = try engine.load(model, pool: engine.pool())
        let options = sampling.generation(for: model, limit: Self.defaultTokens)
        let stream = AnswerStream(console, json: output.json)
        let generation: Generation
        if chat {
            let role = system.map { [ChatSession.message("system", $0)] } ?? []
            generation = try model.reply(
                to: role + [ChatSession.message("user", text)], options: options, contextLength: context,
                onText: stream.write)
        } else {
            generation = try model.complete(text, options: options, contextLength: context, onText: stream.write)
        }
        try stream.endLine()
        console.note(generation.summary(on: model.placement))
        return Outcome(text: "", json: generation.json(on: model.placement))
    }
}
