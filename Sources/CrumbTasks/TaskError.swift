/// What makes programming tasks impossible to read or to run, in one sentence with names and numbers.
package struct TaskError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
