package import CrumbEngine
import CrumbModel
package import CrumbTasks

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

    private let model: LoadedModel
    private let style: Style
    private let limit: Int
    private let prompts: [[Int32]]
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
            let code = "```python\n\(task.prompt)\n"
            let request =
                "Complete this Python function. Answer with the whole function in one block of code.\n\n\(code)```"
            func rendered() throws -> String { try model.render([ChatSession.message("user", request)]) }
            return switch style {
            case .plain: model.encodePrompt(task.prompt)
            case .chat: model.encodeTemplated(try rendered())
            case .begun: model.encodeTemplated(try rendered() + "```python\n" + task.prompt)
            }
        }
        let capacity = (prompts.map(\.count).max() ?? 0) + limit + 1
        let longest = model.configuration.maxPositionEmbeddings
        guard capacity <= longest else {
            throw EvaluationError(
                "a task and its answer have up to \(capacity) tokens, but \(model.path) can have \(longest) at most: allow "
                    + "shorter answers, or shorten the tasks")
        }
        timeline = try DecoderTimeline(model.decoder, capacity: capacity)
    }

    /// Lets the model write the function of task `index`.
    package func answer(_ index: Int) throws -> Answer {
        let finder = CodeAnswer(tasks[index])
        var text = ""
        let generation = try model.generate(
            prompts[index], on: timeline, options: GenerationOptions(maxTokens: limit, sampling: .greedy),
            // What follows the function is not needed.
            isCancelled: { [style] in
                style == .chat ? finder.isComplete(answer: text) : finder.isComplete(continuing: text)
            }, onText: { text += $0 })
        return Answer(
            program: style == .chat ? finder.program(answer: text) : finder.program(continuing: text),
            tokens: generation.generatedTokens, seconds: generation.promptSeconds + generation.decodeSeconds)
    }
}
