/// What distinguishes a family of decoders from the others that share `DecoderForward`.
///
/// A new family is one file in `Architectures/` that makes such a value, and its name in `known`.
package struct Architecture: Sendable {
    package let name: String
    /// Values of `model_type` it serves.
    package let modelTypes: [String]
    /// What a missing `tie_word_embeddings` means.
    let tiesByDefault: Bool
    /// Projections that have a bias.
    let biases: @Sendable (ConfigurationReader) throws(ModelError) -> Set<Projection>
    /// The attention window of each of so many layers; `Int.max` for none.
    let windows: @Sendable (ConfigurationReader, Int) throws(ModelError) -> [Int]

    /// All families, in the order in which errors list them.
    package static let known: [Architecture] = [.llama, .qwen2]

    /// The family that serves `modelType`.
    ///
    /// - Throws: `ModelError` that lists the known types.
    package static func find(_ modelType: String, source: String) throws(ModelError) -> Architecture {
        guard let found = known.first(where: { $0.modelTypes.contains(modelType) }) else {
            let types = known.flatMap(\.modelTypes).joined(separator: ", ")
            throw ModelError("\(source): the architecture \"\(modelType)\" is not known; known are \(types)")
        }
        return found
    }

    /// The largest `sliding_window` a configuration may ask for.
    static let windowRange = 1...(1 << 26)
}
