/// Finds the function in what a model wrote about a task.
package struct CodeAnswer {
    let task: ProgrammingTask

    package init(_ task: ProgrammingTask) { self.task = task }

    /// The program in a text that goes on where the task's prompt ends: it stops before the first line that leaves the
    /// function.
    package func program(continuing text: String) -> String {
        let text = text.replacing("\r\n", with: "\n")
        let end = Self.endOfFunction(text) ?? text.endIndex
        return task.prompt + text[..<end] + "\n"
    }

    /// Whether a text that goes on where the prompt ends has left the function, so that the rest is not needed.
    package func isComplete(continuing text: String) -> Bool { Self.endOfFunction(text) != nil }

    /// The program in an answer in words and code.
    ///
    /// It is the first fenced block that defines the function, together with what the prompt has before its signature; a block
    /// that does not is taken for the function's body. Without a fence it is what begins at the function's definition, or
    /// else the whole answer as a body.
    package func program(answer text: String) -> String {
        let text = text.replacing("\r\n", with: "\n")
        let blocks = Self.fencedBlocks(text).map(\.code)
        if let block = blocks.first(where: { definition(in: $0) != nil }) { return task.preamble + block + "\n" }
        if let block = blocks.first { return program(body: block) }
        guard let start = definition(in: text) else { return program(body: text) }
        let signature = text[start...].prefix { $0 != "\n" }
        let rest = text[signature.endIndex...].dropFirst()
        let end = Self.endOfFunction(rest) ?? rest.endIndex
        return task.preamble + signature + "\n" + rest[..<end] + "\n"
    }

    /// Whether an answer in words and code has its function, so that the rest is not needed.
    package func isComplete(answer text: String) -> Bool {
        Self.fencedBlocks(text).contains { $0.isClosed && definition(in: $0.code) != nil }
    }

    private func program(body: String) -> String {
        let isIndented = body.split(separator: "\n").first?.first?.isWhitespace ?? true
        let lines = body.split(separator: "\n", omittingEmptySubsequences: false)
        return task.prompt + lines.map { isIndented ? $0 + "\n" : "    \($0)\n" }.joined()
    }

    private func definition(in text: String) -> String.Index? {
        text.lineStart(of: "def \(task.name)")
    }

    /// Where the first line begins that is not indented, in a text that begins with a line. Brackets that close there belong to
    /// the function.
    private static func endOfFunction(_ text: some StringProtocol) -> String.Index? {
        var index = text.startIndex
        while let first = text[index...].first {
            if !first.isWhitespace, !")]}".contains(first) { return index }
            guard let newline = text[index...].firstIndex(where: \.isNewline) else { return nil }
            index = text.index(after: newline)
        }
        return nil
    }

    /// The blocks between lines of three backticks, without those lines. One that is not closed goes on to the end.
    private static func fencedBlocks(_ text: String) -> [(code: String, isClosed: Bool)] {
        var blocks: [(code: String, isClosed: Bool)] = []
        var open: [Substring]?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.drop(while: { $0 == " " }).hasPrefix("```") else {
                open?.append(line)
                continue
            }
            if let lines = open {
                blocks.append((lines.joined(separator: "\n"), true))
                open = nil
            } else {
                open = []
            }
        }
        if let open { blocks.append((open.joined(separator: "\n"), false)) }
        return blocks
    }
}

extension String {
    /// Where `words` first stand at the beginning of a line, with no letter, digit or underscore behind them.
    func lineStart(of words: String) -> String.Index? {
        var index = startIndex
        while true {
            let rest = self[index...]
            if rest.hasPrefix(words) {
                let next = rest.dropFirst(words.count).first
                if next.map({ !$0.isLetter && !$0.isNumber && $0 != "_" }) ?? true { return index }
            }
            guard let newline = rest.firstIndex(of: "\n") else { return nil }
            index = self.index(after: newline)
        }
    }
}
