/// Bounds on reading and rendering one template.
///
/// A template comes with the checkpoint, so it is as little trusted as any other file: every loop, every
/// string and every level of nesting is paid for out of these.
package struct TemplateLimits: Sendable {
    /// Length of the template source, in bytes.
    package var sourceBytes = 1 << 20
    /// Statements and parentheses inside one another, in the source.
    package var nesting = 100
    /// Statements, expressions and loop rounds in one rendering.
    package var steps = 5_000_000
    /// Macro calls and recursive loops inside one another, while rendering.
    package var callDepth = 100
    /// Statements and expressions inside one another, through all calls: bounds the native stack.
    package var evaluationDepth = 500
    /// Length of the rendered text, in bytes.
    package var outputBytes = 16 << 20
    /// Length of any one string, in bytes.
    package var stringBytes = 16 << 20
    /// Bytes read or written by all string and list operations together.
    package var workBytes = 512 << 20
    /// Lists and dictionaries inside one another.
    package var valueDepth = 100
    /// Numbers one `range()` may hold.
    package var rangeItems = 100_000

    package init() {}
}
