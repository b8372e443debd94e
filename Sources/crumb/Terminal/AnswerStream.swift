import CrumbEngine
import CrumbJSON
import CrumbReport
import Glibc

/// Where the pieces of an answer go as they come: standard output, or standard error beside `--json`.
final class AnswerStream {
    private let console: Console
    private let json: Bool
    /// A terminal would obey what a model writes, so it gets a harmless form; files and pipes get the bytes.
    private let isTerminal: Bool
    private var isAtLineStart = true

    init(_ console: Console, json: Bool) {
        self.console = console
        self.json = json
        isTerminal = isatty(json ? STDERR_FILENO : STDOUT_FILENO) == 1
    }

    /// Writes a piece.
    ///
    /// - Throws: `StandardOutput.WriteError`.
    func write(_ piece: String) throws {
        guard let last = piece.utf8.last else { return }
        isAtLineStart = last == UInt8(ascii: "\n")
        let shown = isTerminal ? Printable.text(piece) : piece
        if json {
            if console.showsRemarks { console.stream(shown) }
        } else {
            try StandardOutput.write(shown)
        }
    }

    /// Begins a new line unless the answer ended in one.
    func endLine() throws {
        if !isAtLineStart { try write("\n") }
    }
}

extension Generation {
    /// The figures, on one line.
    func summary(on placement: Placement) -> String {
        var text = "[\(promptTokens) tokens read at \(Figures.significant(promptTokensPerSecond))/s"
        if reusedTokens > 0 { text += ", \(reusedTokens) of them known" }
        text += "; \(generatedTokens) written at \(Figures.significant(tokensPerSecond))/s"
        switch finish {
        case .endOfText: break
        case .stopString: text += "; a stop text came"
        case .maxTokens: text += "; -n reached"
        case .contextFull: text += "; the context is full"
        case .cancelled: text += "; stopped"
        }
        return text + "; \(placement.device)]"
    }

    /// The keys of `crumb run --json`.
    func json(on placement: Placement) -> JSONObject {
        [
            "text": .string(text), "promptTokens": JSONValue(promptTokens),
            "generatedTokens": JSONValue(generatedTokens),
            "promptTokensPerSecond": JSONValue(promptTokensPerSecond), "tokensPerSecond": JSONValue(tokensPerSecond),
            "promptSeconds": JSONValue(promptSeconds), "generationSeconds": JSONValue(decodeSeconds),
            "stopReason": .string(finish.rawValue), "device": .string(placement.device),
            "backend": .string(placement.backend),
            // Larger seeds than JSON readers keep exactly stand as text.
            "seed": Int64(exactly: seed).map { .number(.integer($0)) } ?? .string("\(seed)"),
        ]
    }
}
