import CrumbReport

/// A mistake in how a verb was used that only shows at work: a file that is not there, an answer that cannot be given.
struct CommandError: Error, CustomStringConvertible {
    /// One sentence that names the thing, the numbers and the way out.
    let description: String

    init(_ description: String) { self.description = description }
}

/// Errors of every room on their way out.
enum ErrorMapping {
    /// The sentence of an error: its own description, on one line, with a full stop.
    ///
    /// Model files may put what they like into a name that an error quotes, so control characters are made visible
    /// and cannot move the cursor of a terminal.
    static func sentence(for error: any Error) -> String { sentence(String(describing: error)) }

    /// A message as such a sentence.
    static func sentence(_ message: String) -> String {
        let sentence = Printable.line(message)
        return sentence.hasSuffix(".") ? sentence : sentence + "."
    }
}
