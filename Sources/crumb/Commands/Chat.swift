import ArgumentParser
import CrumbEngine

/// `crumb chat`: a conversation in the terminal.
struct Chat: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Talk with a model in the terminal.",
        discussion: """
            Messages go through the model's own chat template, and the conversation is kept until the \
            context is full. Ctrl-C stops an answer; Ctrl-D or /exit ends the conversation. A line that \
            ends in a backslash goes on in the next one. In a terminal these lines are commands:

              /reset          forget the conversation
              /system TEXT    begin again with this role
              /stats          tokens and speed of the last answer
              /help           these words
              /exit           leave

            Lines from a pipe or a file are all said to the model.

            Examples:
              crumb chat smol
              crumb chat smol --system "You answer in rhymes." --temperature 0.8
              echo "What is a tide?" | crumb chat smol

            Keys of --json: messages (role, content), generatedTokens, tokensPerSecond, device, backend.
            """)

    @Argument(help: ArgumentHelp("The model to talk with.", valueName: "model"))
    var model: String

    @Option(parsing: .unconditional, help: ArgumentHelp("What the model is told about its role.", valueName: "text"))
    var system: String?

    @Option(
        help: ArgumentHelp(
            "Tokens the conversation may grow to. (default: the model's own limit, at most 8192)", valueName: "n"))
    var context: Int?

    @OptionGroup(title: "Sampling")
    var sampling: SamplingArguments

    @OptionGroup(title: "Engine")
    var engine: EngineArguments

    @OptionGroup(title: "Output")
    var output: OutputArguments

    mutating func validate() throws {
        try require(context.map { $0 >= 1 }, "--context must be at least 1.")
    }

    func perform(_ console: Console) throws -> Outcome {
        let model = try engine.load(model, pool: engine.pool())
        let session = try ChatSession(model, system: system, contextLength: context)
        var conversation = Conversation(
            session, options: sampling.generation(for: model, limit: nil), console: console, json: output.json)
        return try conversation.hold()
    }
}
