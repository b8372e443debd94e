import CrumbEngine
import CrumbJSON
import CrumbReport
import Glibc

/// The loop of `crumb chat`: lines in, answers out, until the input ends.
struct Conversation {
    private let session: ChatSession
    private let options: GenerationOptions
    private let console: Console
    private let stream: AnswerStream
    private let isTerminal: Bool
    private let input = StandardInput()
    private var last: Generation?
    private var generatedTokens = 0
    private var seconds = 0.0

    /// What a line from the user asks for.
    enum Input: Equatable {
        case message(String)
        case reset
        case system(String)
        case stats
        case help
        case exit
        case unknown(String)

        /// From a terminal, lines that begin with a slash are commands; everything else is said to the model.
        init(_ line: String, isTerminal: Bool) {
            guard isTerminal, line.hasPrefix("/") else {
                self = .message(line)
                return
            }
            let words = line.split(separator: " ", maxSplits: 1)
            let rest = words.count > 1 ? String(words[1]) : ""
            switch words[0] {
            case "/reset": self = .reset
            case "/system" where !rest.isEmpty: self = .system(rest)
            case "/stats": self = .stats
            case "/help": self = .help
            case "/exit", "/quit": self = .exit
            default: self = .unknown(String(words[0]))
            }
        }
    }

    init(_ session: ChatSession, options: GenerationOptions, console: Console, json: Bool) {
        self.session = session
        self.options = options
        self.console = console
        stream = AnswerStream(console, json: json)
        isTerminal = isatty(STDIN_FILENO) == 1
    }

    /// Talks until the input ends or the user leaves.
    ///
    /// - Throws: what an answer throws, unless somebody sits at the terminal who can do something about it.
    mutating func hold() throws -> Outcome {
        Interrupts.stopAnswersOnInterrupt()
        let placement = session.model.placement
        if isTerminal {
            console.note("\(session.model.path) listens (\(placement)); /help shows the commands, Ctrl-D ends.")
        }
        while true {
            do {
                guard let line = try nextLine() else { break }
                let input = Input(line, isTerminal: isTerminal)
                if input == .exit { break }
                try respond(to: input)
            } catch  where isTerminal && !(error is StandardOutput.WriteError) {
                console.write(error: ErrorMapping.sentence(for: error))
            }
        }
        return Outcome(
            text: "",
            json: [
                "messages": .array(session.messages), "generatedTokens": JSONValue(generatedTokens),
                "tokensPerSecond": JSONValue(seconds > 0 ? Double(generatedTokens) / seconds : 0),
                "device": .string(placement.device), "backend": .string(placement.backend),
            ])
    }

    private mutating func respond(to input: Input) throws {
        switch input {
        case .message(let text):
            guard !text.allSatisfy(\.isWhitespace) else { return }
            let generation = try Interrupts.answer { isStopped in
                try session.send(text, options: options, isCancelled: isStopped, onText: stream.write)
            }
            try stream.endLine()
            last = generation
            generatedTokens += generation.generatedTokens
            seconds += generation.decodeSeconds
            switch generation.finish {
            case .maxTokens: console.note("The answer was cut after \(generation.generatedTokens) tokens (-n).")
            case .contextFull: console.note("The context is full; /reset makes room.")
            case .endOfText, .stopString, .cancelled: break
            }
        case .reset:
            session.reset()
            console.note("The conversation is forgotten.")
        case .system(let role):
            session.reset(system: role)
            console.note("The conversation begins again with this role.")
        case .stats:
            console.note(last?.summary(on: session.model.placement) ?? "Nothing was said yet.")
        case .help:
            console.note("/reset forget, /system TEXT new role, /stats last answer's figures, /exit leave")
        case .unknown(let command):
            console.note("There is no command \(Printable.line(command)); /help shows them.")
        case .exit:
            break
        }
    }

    /// The next line, joined with those after it as long as it ends in a backslash; nil at the end of the input.
    ///
    /// - Throws: `CommandError` for a line that is no UTF-8.
    private func nextLine() throws -> String? {
        var text = ""
        var mark = "> "
        while true {
            if isTerminal { console.stream(mark) }
            guard let line = try input.line() else {
                if isTerminal { console.stream("\n") }
                return text.isEmpty ? nil : text
            }
            guard line.hasSuffix("\\") else { return text + line }
            text += line.dropLast() + "\n"
            mark = ". "
        }
    }
}
