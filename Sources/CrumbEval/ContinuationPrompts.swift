import CrumbCorpus
package import CrumbEngine

/// Prompts whose continuations are compared.
package enum ContinuationPrompts {
    /// Tokens of a prompt that is cut from a text.
    package static let cutTokens = 64

    /// The prompts that are part of the program: questions, code, stories, letters and lists in several languages.
    package static let builtIn: [String] = {
        let text = UnsafeBufferPointer(start: crumb_prompts_text, count: crumb_prompts_text_bytes)
        return split(String(decoding: text, as: UTF8.self))
    }()

    /// The prompts between lines of three dashes, without the newline before each line.
    package static func split(_ text: String) -> [String] {
        var prompts: [String] = []
        var lines: [Substring] = []
        for line in (text + "\n---").split(separator: "\n", omittingEmptySubsequences: false) {
            if line != "---" {
                lines.append(line)
                continue
            }
            while lines.last?.isEmpty == true { lines.removeLast() }
            if !lines.isEmpty { prompts.append(lines.joined(separator: "\n")) }
            lines = []
        }
        return prompts
    }

    /// Elements spread evenly over a list, the first one among them.
    ///
    /// - Throws: `EvaluationError` where there are fewer than asked for.
    package static func spread<T>(_ elements: [T], count: Int) throws -> [T] {
        guard count <= elements.count else {
            throw EvaluationError(
                "\(count) prompts were asked for, but there are \(elements.count); ask for fewer, or cut them from a text"
            )
        }
        return (0..<count).map { elements[$0 * elements.count / count] }
    }

    /// The tokens of built-in prompts: as a user's messages where the model has a chat template, else as they are.
    ///
    /// - Throws: `EvaluationError` where there are fewer than asked for; `TemplateError` where the template refuses one.
    package static func encode(count: Int, by model: LoadedModel) throws -> [[Int32]] {
        try spread(builtIn, count: count).map { text in
            guard model.chatTemplate != nil else { return model.encodePrompt(text) }
            return model.encodeTemplated(try model.render([ChatSession.message("user", text)]))
        }
    }

    /// Prompts of `cutTokens` tokens each, which begin at even distances in a text and do not overlap.
    ///
    /// - Parameters:
    ///   - tokens: Of the text, without special tokens.
    ///   - beginning: The token that the tokenizer begins texts with, if any; it takes the place of each prompt's first.
    /// - Throws: `EvaluationError` for a text that is too short.
    package static func cut(_ tokens: [Int32], count: Int, beginning: Int32?) throws -> [[Int32]] {
        guard count * cutTokens <= tokens.count else {
            throw EvaluationError(
                "the text has \(tokens.count) tokens, but \(count) prompts of \(cutTokens) need \(count * cutTokens); take a "
                    + "longer text or fewer prompts")
        }
        return (0..<count).map { index in
            let start = index * tokens.count / count
            var prompt = Array(tokens[start..<start + cutTokens])
            if let beginning { prompt[0] = beginning }
            return prompt
        }
    }
}
