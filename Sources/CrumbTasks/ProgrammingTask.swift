import CrumbCorpus
import CrumbJSON

/// A function to be written in Python, and what it must do.
package struct ProgrammingTask: Sendable {
    /// The function's name, which is the task's too.
    package let name: String
    /// What the model sees: imports if any, the signature, and a docstring with an example. Ends within the function, with a
    /// newline: tokenizers put it into one token with the quotes before it.
    package let prompt: String
    /// Statements that raise an error where the function is wrong, asserts as a rule. The model does not see them.
    package let checks: [String]

    /// - Throws: `TaskError` where a part is missing, or the prompt is no function.
    package init(prompt: String, checks: [String]) throws(TaskError) {
        let lines = prompt.split(separator: "\n", omittingEmptySubsequences: false)
        // The last one: helpers that are given stand before it.
        guard let signature = lines.last(where: { $0.hasPrefix("def ") }) else {
            throw TaskError("the prompt has no line that begins with \"def \"")
        }
        let name = signature.dropFirst(4).prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        guard !name.isEmpty else { throw TaskError("the function of the line \"\(signature)\" has no name") }
        guard !checks.isEmpty else { throw TaskError("\(name) has no checks") }
        self.name = String(name)
        var prompt = prompt
        while prompt.last?.isWhitespace == true { prompt.removeLast() }
        self.prompt = prompt + "\n"
        self.checks = checks
    }

    /// The lines before the signature: imports and helpers. Ends in a newline where there are any.
    package var preamble: String {
        guard let start = prompt.lineStart(of: "def \(name)") else { return "" }
        return String(prompt[..<start])
    }
}

/// Tasks from JSON lines: one object a line, with `prompt` and `checks`; empty lines are left out.
package enum TaskFile {
    /// The tasks that are part of the program, from very easy ones to moderate ones.
    package static func builtIn() throws -> [ProgrammingTask] {
        let bytes = UnsafeRawBufferPointer(start: crumb_tasks_text, count: crumb_tasks_text_bytes)
        return try read(Array(bytes), source: "the built-in tasks")
    }

    /// Reads tasks.
    ///
    /// - Parameter source: What the text is, for error messages; usually a file name.
    /// - Throws: `TaskError` or `JSONError` that names the line.
    package static func read(_ bytes: [UInt8], source: String) throws -> [ProgrammingTask] {
        var tasks: [ProgrammingTask] = []
        var names: Set<String> = []
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where !line.allSatisfy({ $0 <= 0x20 }) {
            let place = "\(source), line \(index + 1)"
            let task = try task(JSON.parse(Array(line), source: place), place: place)
            guard names.insert(task.name).inserted else {
                throw TaskError("\(place): a task called \(task.name) stands before it; names must differ")
            }
            tasks.append(task)
        }
        guard !tasks.isEmpty else {
            throw TaskError("\(source) has no tasks; each is a line like {\"prompt\": \"def ...\", \"checks\": [...]}")
        }
        return tasks
    }

    private static func task(_ value: JSONValue, place: String) throws(TaskError) -> ProgrammingTask {
        guard let prompt = value["prompt"]?.string, let checks = value["checks"]?.array else {
            throw TaskError("\(place): a task needs \"prompt\", a string, and \"checks\", an array of strings")
        }
        let statements = checks.compactMap(\.string)
        guard statements.count == checks.count else {
            throw TaskError("\(place): \(checks.count - statements.count) of \(checks.count) checks are no strings")
        }
        do {
            return try ProgrammingTask(prompt: prompt, checks: statements)
        } catch {
            throw TaskError("\(place): \(error)")
        }
    }
}
