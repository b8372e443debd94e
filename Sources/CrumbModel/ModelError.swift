/// What makes a checkpoint or a request unusable for this room, in one sentence with names and numbers.
package struct ModelError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
