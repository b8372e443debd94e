// A GGUF file under Hugging Face's names.

package import CrumbJSON
package import CrumbTensor

/// A model in one GGUF file.
package final class GGUFCheckpoint: Checkpoint {
    package let path: String
    package let formatName = "GGUF"
    package let configuration: JSONObject
    package let tensorNames: [String]
    /// Everything in the file but the tensors' bytes.
    package let header: GGUFHeader

    private let memory: FileMemory
    private let sources: [String: Source]

    private struct Source: Sendable {
        let tensor: GGUFTensor
        let layout: TensorLayout
        /// The heads over which rows are interleaved, nil where they stand in order.
        let heads: Int?
    }

    /// Opens and checks a file.
    ///
    /// - Throws: `FormatError` where it is damaged or its architecture, a type or a setting is not supported.
    package convenience init(path: String) throws(FormatError) {
        try self.init(FileMemory(try MappedFile(path: path)))
    }

    /// Reads and checks a file that lies in memory.
    ///
    /// - Throws: as `init(path:)`.
    package init(_ memory: FileMemory) throws(FormatError) {
        let path = memory.path
        self.path = path
        self.memory = memory
        header = unsafe try GGUFHeader(memory.bytes, path: path)
        let metadata = GGUFMetadata(path: path, values: header.metadata)
        if let parts = try metadata.optionalInt("split.count", in: 0...65_535), parts > 1 {
            throw FormatError(
                path: path,
                reason: "is one of \(parts) parts of a split model; merge them with llama-gguf-split --merge")
        }
        let mapping = try ArchitectureMappings.named(try metadata.string("general.architecture"), path: path)
        var configuration = try mapping.configuration(header, path: path)
        var names: [String] = []
        var sources: [String: Source] = [:]
        for tensor in header.tensors {
            let source: Source
            switch mapping.placement(tensor.name) {
            case .tensor(let name):
                source = try Self.source(tensor, name, nil, path: path)
            case .interleavedRows(let name, let heads):
                let key = heads == .query ? "num_attention_heads" : "num_key_value_heads"
                source = try Self.source(tensor, name, configuration[key]?.int, path: path)
            case .configuration:
                configuration["rope_scaling"] = try Self.scaling(tensor, memory, configuration)
                continue
            case nil:
                throw FormatError(
                    path: path,
                    reason: "the tensor \(tensor.name) has no place in a model of the architecture"
                        + " \(mapping.architecture)")
            }
            guard sources.updateValue(source, forKey: source.layout.name) == nil else {
                throw FormatError(path: path, reason: "two tensors stand for \(source.layout.name)")
            }
            names.append(source.layout.name)
        }
        self.configuration = configuration
        tensorNames = names
        self.sources = sources
    }

    /// Ids that end a sequence, which Hugging Face keeps here.
    package var generationConfiguration: JSONObject? {
        guard let vocabulary = try? vocabulary else { return nil }
        var object = JSONObject()
        if let bos = vocabulary.bosTokenID { object["bos_token_id"] = JSONValue(bos) }
        if let eos = vocabulary.eosTokenID {
            object["eos_token_id"] = .array(([eos] + vocabulary.endTokenIDs).map { JSONValue($0) })
        }
        if let padding = vocabulary.paddingTokenID { object["pad_token_id"] = JSONValue(padding) }
        return object.isEmpty ? nil : object
    }

    package var tokenizerFiles: TokenizerFiles {
        get throws { .gguf(try vocabulary) }
    }

    private var vocabulary: GGUFVocabulary {
        get throws(FormatError) { try GGUFVocabulary(GGUFMetadata(path: path, values: header.metadata)) }
    }

    package func tensorLayout(_ name: String) throws -> TensorLayout { try source(name).layout }

    package func tensor(_ name: String) throws -> TensorView {
        let source = try source(name)
        let layout = source.layout
        let range = source.tensor.offset..<source.tensor.offset + layout.byteCount
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: memory.bytes[range])
        guard let heads = source.heads else {
            return unsafe TensorView(
                name: name, type: layout.type, shape: layout.shape, bytes: bytes, owner: memory.owner)
        }
        let copy = HeapBuffer(byteCount: layout.byteCount)
        unsafe RowOrder.deinterleave(bytes, rows: layout.shape[0], heads: heads, into: copy.mutableBytes)
        return copy.tensor(name, layout.type, layout.shape)
    }

    package func checkUnchanged() throws { try memory.checkUnchanged() }

    private func source(_ name: String) throws(FormatError) -> Source {
        guard let source = sources[name] else {
            throw FormatError(path: path, reason: "the tensor \(name) is missing; the file holds no complete model")
        }
        return source
    }

    private static func source(
        _ tensor: GGUFTensor, _ name: String, _ heads: Int?, path: String
    ) throws(FormatError) -> Source {
        let rows = tensor.layout.shape[0]
        if let heads, rows % (2 * heads) != 0 {
            throw FormatError(
                path: path,
                reason: "the \(rows) rows of \(tensor.name) are not an even number for each of \(heads) heads")
        }
        guard let layout = TensorLayout(name: name, type: tensor.layout.type, shape: tensor.layout.shape) else {
            throw FormatError(path: path, reason: "the tensor \(tensor.name) has an impossible shape")
        }
        return Source(tensor: tensor, layout: layout, heads: heads)
    }

    private static func scaling(
        _ tensor: GGUFTensor, _ file: FileMemory, _ configuration: JSONObject
    ) throws(FormatError) -> JSONValue {
        let count = (configuration["head_dim"]?.int ?? 0) / 2
        guard tensor.layout.type == .f32, tensor.layout.shape == [count] else {
            throw FormatError(
                path: file.path,
                reason: "\(tensor.name) is \(tensor.layout.type) of shape \(tensor.layout.shape), but must be f32 of"
                    + " shape [\(count)]")
        }
        guard configuration["rope_scaling"]?.isNull ?? true else {
            throw FormatError(path: file.path, reason: "has both linear RoPE scaling and \(tensor.name)")
        }
        let factors = (0..<count).map { index in
            let bits = unsafe file.bytes.loadUnaligned(fromByteOffset: tensor.offset + 4 * index, as: UInt32.self)
            return Float(bitPattern: bits)
        }
        guard factors.allSatisfy({ $0.isFinite && $0 > 0 }) else {
            throw FormatError(path: file.path, reason: "\(tensor.name) holds a factor that is not a positive number")
        }
        if factors.allSatisfy({ $0 == 1 }) { return nil }
        return RopeScaling(factors: factors, theta: configuration["rope_theta"]?.double ?? 10_000).value
    }
}
