/// Why a chat template could not be read or rendered.
///
/// The description is one sentence with the line of the template (1-based) and the construct.
package struct TemplateError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong, for callers that answer differently to each.
    package enum Kind: Sendable, Equatable {
        /// The source is not a template of this language.
        case syntax
        /// The template did something its values do not allow.
        case evaluation
        /// A bound of `TemplateLimits` was reached.
        case limit
        /// The template itself called `raise_exception`: the conversation does not suit the model.
        case raised
    }

    package let kind: Kind
    /// Line of the template source, 1-based.
    package let line: Int
    package let message: String

    package var description: String {
        kind == .raised
            ? "the chat template refuses this conversation at line \(line): \(message)"
            : "chat template, line \(line): \(message)"
    }
}
