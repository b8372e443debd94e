package import CrumbEngine
import CrumbModel
package import CrumbTasks
import CrumbTokenizer

/// A model that solves programming tasks with the most likely tokens.
package final class TaskSolver {
    /// How a task is put to the model.
    package enum Style: String, Sendable, CaseIterable {
        /// As the beginning of a text that it goes on with.
        case plain
        /// As a message, to which it writes an answer in words and code.
        case chat
        /// As a message, with the beginning of the answer written for it: its first line of code comes next.
        case begun
    }

    /// What a model wrote about a task.
    package struct Answer: Sendable {
        /// The whole program.
        package let program: String
        package let tokens: Int
        package let seconds: Double
    }

    private struct Prompt {
        var tokens: [Int32]
        /// The indentation at their end, which is the answer's.
        var indentation = ""
    }

    private let model: LoadedModel
    private let style: Style
    private let limit: Int
    private let prompts: [Prompt]
    private let tasks: [ProgrammingTask]
    private let timeline: DecoderTimeline

    /// - Parameters:
    ///   - style: nil takes the chat template where there is one.
    ///   - limit: Tokens of an answer at most.
    /// - Throws: `EvaluationError` where a task does not fit into the model's context; `EngineError` where there is no chat
    ///   template for the style; `ModelError` when there is no memory.
    package init(_ model: LoadedModel, tasks: [ProgrammingTask], style: Style?, limit: Int) throws {
        let style = style ?? (model.chatTemplate == nil ? .plain : .begun)
        self.model = model
        self.style = style
        self.limit = limit
        self.tasks = tasks
        prompts = try tasks.map { task in
            let code = "```python\n\(task.prompt)"
            let request =
                "Complete this Python function. Answer with the whole function in one block of code.\n\n\(code)```"
            func rendered() throws -> String { try model.render([ChatSession.message("user", request)]) }
            return switch style {
            case .plain: Self.prompt(task.prompt, encode: model.encodePrompt, model)
            case .chat: Prompt(tokens: model.encodeTemplated(try rendered()))
            case .begun:
                Self.prompt(try rendered() + "```python\n" + task.prompt, encode: model.encodeTemplated, model)
            }
        }
        let capacity = (prompts.map(\.tokens.count).max() ?? 0) + limit + 1
        let longest = model.configuration.maxPositionEmbeddings
        guard capacity <= longest else {
            throw EvaluationError(
                "a task and its answer have up to \(capacity) tokens, but \(model.path) can have \(longest) at most: allow "
                    + "shorter answers, or shorten the tasks")
        }
        timeline = try DecoderTimeline(model.decoder, capacity: capacity)
    }

    /// A text that ends in code, and the indentation of the line after it as far as the tokenizer cuts before a word.
    ///
    /// Tokenizers put line breaks and spaces together in their own ways. A text that ends where no token would is one that a
    /// model has hardly seen: SmolLM2 writes nothing at all after the newline of a docstring, and Qwen2.5-Coder goes on in
    /// the docstring's line where it is left out.
    private static func prompt(_ text: String, encode: (String) -> [Int32], _ model: LoadedModel) -> Prompt {
        let last = text.split(separator: "\n").last ?? ""
        let indented = last.prefix { $0 == " " || $0 == "\t" }
        let indentation = indented.isEmpty ? "    " : String(indented)
        let one = encode(text + indentation + "pass")
        let common = zip(one, encode(text + indentation + "return")).prefix { $0 == $1 }.count
        let rest = one[common...].flatMap { model.tokenizer.tokenBytes($0) ?? [] }
        let taken = indentation.utf8.count + 4 - rest.count
        guard taken >= 0, rest.elementsEqual((indentation.dropFirst(taken) + "pass").utf8) else {
            return Prompt(tokens: encode(text))
        }
        return Prompt(tokens: Array(one[..<common]), indentation: String(indentation.prefix(taken)))
    }

    /// Lets the model write the function of task `index`.
    package func answer(_ index: Int) throws -> Answer {
        let finder = CodeAnswer(tasks[index])
        let prompt = prompts[index]
        var text = prompt.indentation
        let generation = try model.generate(
            prompt.tokens, on: timeline, options: GenerationOptions(maxTokens: limit, sampling: .greedy),
            // What follows the function is not needed.
            isCancelled: { [style] in
                style == .chat ? finder.isComplete(answer: text) : finder.isComplete(continuing: text)
            }, onText: { text += $0 })
        // Streams may lack the space before their first word, which is indentation here.
        let bytes = generation.tokens.filter { !model.tokenizer.isSpecial($0) }
            .flatMap { model.tokenizer.tokenBytes($0) ?? [] }
        let written = prompt.indentation + String(decoding: bytes, as: UTF8.self)
        return Answer(
            program: style == .chat ? finder.program(answer: written) : finder.program(continuing: written),
            tokens: generation.generatedTokens, seconds: generation.promptSeconds + generation.decodeSeconds)
    }
}
