/// What makes a model or a request unusable for the engine, in one sentence with names and numbers.
package struct EngineError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
