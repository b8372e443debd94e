import CrumbJSON
package import CrumbTensor

/// Writes the weights of a folder: `model.safetensors` where all fit in one file, otherwise
/// `model-00001-of-0000N.safetensors` and the index. Tensors come in the declared order; one shard is open at a time and
/// each is complete under its name before the next begins.
package final class ShardedWriter {
    /// The file names, in order.
    package let shardNames: [String]
    /// The tensors of each file.
    package let shards: [[TensorLayout]]

    private let folder: String
    private let metadata: [(String, String)]
    /// The shard in work.
    private var position = 0
    private var writer: SafetensorsWriter?
    private var current = 0
    private var currentBytes = 0

    /// Plans the shards; nothing is written before the first bytes come.
    ///
    /// - Parameters:
    ///   - maxShardBytes: the data of one shard; a single tensor above it gets a shard of its own.
    package init(
        folder: String, tensors: [TensorLayout], maxShardBytes: Int, metadata: [(String, String)] = [("format", "pt")]
    ) {
        var shards: [[TensorLayout]] = [[]]
        var bytes = 0
        for tensor in tensors {
            if bytes + tensor.byteCount > maxShardBytes, shards[shards.count - 1].isEmpty == false {
                shards.append([])
                bytes = 0
            }
            shards[shards.count - 1].append(tensor)
            bytes += tensor.byteCount
        }
        self.shards = shards
        shardNames = Self.names(shards.count)
        self.folder = folder
        self.metadata = metadata
    }

    /// Appends a whole tensor, which must be the next one declared.
    ///
    /// - Throws: `FormatError` where a shard cannot be written; its partial file is gone then.
    package func append(_ tensor: TensorView) throws(FormatError) {
        precondition(position < shards.count, "\(tensor.name) comes after the last shard")
        let expected = shards[position][current]
        precondition(
            currentBytes == 0 && expected.type == tensor.type && expected.shape == tensor.shape,
            "\(tensor.name) is not the next tensor, \(expected.name)")
        try begin()
        unsafe try writer?.append(tensor.bytes)
        try completed()
    }

    /// Appends bytes of the current tensor, in any number of pieces.
    ///
    /// - Throws: `FormatError` where a shard cannot be written; its partial file is gone then.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(FormatError) {
        precondition(position < shards.count, "bytes after the last shard")
        try begin()
        unsafe try writer?.append(bytes)
        currentBytes += bytes.count
        if currentBytes == shards[position][current].byteCount { try completed() }
    }

    /// Writes the index where there is more than one shard.
    ///
    /// - Throws: `FormatError` where it cannot be written.
    package func finish() throws(FormatError) {
        precondition(position == shards.count, "\(shards.count - position) shards of \(folder) are not complete")
        guard shards.count > 1 else { return }
        var map: [(String, JSONValue)] = []
        for (name, tensors) in zip(shardNames, shards) {
            map += tensors.map { ($0.name, .string(name)) }
        }
        let total = shards.joined().reduce(0) { $0 + $1.byteCount }
        let index: JSONValue = [
            "metadata": ["total_size": JSONValue(total)], "weight_map": .object(JSONObject(map)),
        ]
        let text = JSON.serialize(index, pretty: true) + "\n"
        try AtomicFile.write(text, to: FileSystem.join(folder, ShardIndex.fileName))
    }

    /// Drops the shard in work.
    package func discard() {
        writer?.discard()
        writer = nil
    }

    private func begin() throws(FormatError) {
        guard writer == nil else { return }
        writer = try SafetensorsWriter(
            path: FileSystem.join(folder, shardNames[position]), tensors: shards[position], metadata: metadata)
    }

    private func completed() throws(FormatError) {
        current += 1
        currentBytes = 0
        guard current == shards[position].count else { return }
        try writer?.finish()
        writer = nil
        position += 1
        current = 0
    }

    private static func names(_ count: Int) -> [String] {
        if count == 1 { return ["model.safetensors"] }
        func padded(_ number: Int) -> String {
            String(repeating: "0", count: max(0, 5 - "\(number)".count)) + "\(number)"
        }
        return (1...count).map { "model-\(padded($0))-of-\(padded(count)).safetensors" }
    }
}
