/// What makes a measurement impossible, in one sentence with names and numbers.
package struct EvaluationError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
