package import CrumbJSON
package import CrumbTensor

/// A model on disk, whatever its format, under the names of Hugging Face: tensors as in its safetensors files, settings
/// as in its `config.json`.
package protocol Checkpoint: Sendable {
    /// The file or folder it was opened from.
    var path: String { get }
    /// What the checkpoint is stored as, for people: "GGUF" or "Hugging Face".
    var formatName: String { get }
    /// The keys of `config.json`.
    var configuration: JSONObject { get }
    /// The file that `configuration` comes from, for errors: the folder's `config.json`, or the one file of the model.
    var configurationPath: String { get }
    /// The keys of `generation_config.json`, where there is one.
    var generationConfiguration: JSONObject? { get }
    /// All tensors, in the order of the file.
    var tensorNames: [String] { get }
    /// What is stored under a name, without touching its bytes.
    ///
    /// - Throws: `FormatError` where there is no such tensor.
    func tensorLayout(_ name: String) throws -> TensorLayout
    /// A window on a tensor's bytes, aligned at least to its element size, in Hugging Face's row order. Where the
    /// file's order or alignment differs, the window is on a fresh copy.
    ///
    /// - Throws: `FormatError` where there is no such tensor.
    func tensor(_ name: String) throws -> TensorView
    /// What the tokenizer is to be made from.
    ///
    /// - Throws: `FormatError` or `JSONError` where it is missing or not valid.
    var tokenizerFiles: TokenizerFiles { get throws }
    /// The bytes of a file beside the weights, such as LICENSE: nil where there is none, and for a model that is one
    /// file.
    ///
    /// - Throws: `FormatError` where the name is no plain file name, or the file is a link out of the folder, not a
    ///   regular file, or larger than 256 MiB.
    func sideFile(_ name: String) throws -> [UInt8]?
    /// Throws where a file changed since it was opened, so that reading on would be unsafe.
    func checkUnchanged() throws
}

/// What holds for a model that is one file.
extension Checkpoint {
    package var configurationPath: String { path }

    package func sideFile(_ name: String) throws -> [UInt8]? { nil }
}

extension Checkpoint {
    /// Whether there is a tensor of this name.
    package func hasTensor(_ name: String) -> Bool { (try? tensorLayout(name)) != nil }
}

/// What is stored for a tensor: everything but the bytes.
package struct TensorLayout: Sendable, Equatable {
    package let name: String
    package let type: StorageType
    /// Outermost axis first.
    package let shape: [Int]
    package let byteCount: Int

    /// - Returns: nil where a dimension is negative, or the shape does not fill whole blocks, or overflows.
    package init?(name: String, type: StorageType, shape: [Int]) {
        guard let count = checkedProduct(shape), (shape.last ?? 1) % type.blockWeights == 0,
            let byteCount = type.byteCount(of: count)
        else { return nil }
        self.name = name
        self.type = type
        self.shape = shape
        self.byteCount = byteCount
    }
}

/// The sources of a tokenizer.
package enum TokenizerFiles: Sendable {
    /// `tokenizer.json`, `tokenizer_config.json` and the chat template, wherever in the folder it stands.
    case huggingFace(tokenizer: JSONValue, configuration: JSONValue?, chatTemplate: String?)
    /// The vocabulary out of a GGUF file's metadata.
    case gguf(GGUFVocabulary)
}

/// Opens checkpoints of every known format.
package enum CheckpointReader {
    /// Opens a GGUF file or a Hugging Face folder.
    ///
    /// - Throws: `FormatError` or `JSONError` with what is missing, damaged or not supported.
    package static func open(_ path: String) throws -> any Checkpoint {
        guard FileSystem.exists(path) else {
            throw FormatError(path: path, reason: "does not exist; give a GGUF file or a Hugging Face folder")
        }
        if FileSystem.isFolder(path) { return try HuggingFaceCheckpoint(path: path) }
        return try GGUFCheckpoint(path: path)
    }
}
