// How the GGUF files of one architecture become a Hugging Face checkpoint. Another architecture is one more file with
// a conforming type, and its line in `ArchitectureMappings.all`.

package import CrumbJSON

/// One architecture's translation from GGUF's names and order to Hugging Face's.
package protocol ArchitectureMapping: Sendable {
    /// `general.architecture`, which is also the prefix of its metadata keys.
    var architecture: String { get }
    /// The keys of `config.json`.
    ///
    /// - Throws: `FormatError` where a key is missing, out of range, or asks for something that is not supported.
    func configuration(_ header: GGUFHeader, path: String) throws(FormatError) -> JSONObject
    /// Where a tensor goes; nil where the architecture has no such tensor.
    func placement(_ name: String) -> TensorPlacement?
}

/// Where a GGUF tensor goes.
package enum TensorPlacement: Sendable, Equatable {
    /// It is the tensor of this Hugging Face name, byte for byte.
    case tensor(String)
    /// It is the tensor of this Hugging Face name with its rows interleaved for rotary embedding over this many heads.
    case interleavedRows(String, heads: HeadCount)
    /// It is no tensor of the model; the configuration holds what it says.
    case configuration
}

/// Which of the two numbers of heads a matrix has.
package enum HeadCount: Sendable, Equatable { case query, keyValue }

/// All architectures that can be read from GGUF.
package enum ArchitectureMappings {
    package static let all: [any ArchitectureMapping] = [LlamaMapping(), Qwen2Mapping()]

    /// - Throws: `FormatError` that names the known architectures.
    static func named(_ architecture: String, path: String) throws(FormatError) -> any ArchitectureMapping {
        guard let mapping = all.first(where: { $0.architecture == architecture }) else {
            let known = all.map(\.architecture).joined(separator: ", ")
            throw FormatError(
                path: path,
                reason: "the architecture \"\(architecture.prefix(64))\" is not supported; known are \(known)")
        }
        return mapping
    }
}
