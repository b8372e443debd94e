package import CrumbJSON

/// `model.safetensors.index.json`: which shard holds which tensor.
package struct ShardIndex {
    /// The shards, each once, in the order of the index.
    let shards: [String]
    /// The shard of each tensor, as a position in `shards`.
    let positions: [String: Int]
    /// The bytes of all tensors together, where the index says so.
    let totalBytes: Int?

    static let fileName = "model.safetensors.index.json"

    /// Reads the index of a folder.
    ///
    /// - Throws: `FormatError` or `JSONError`.
    init(_ folder: ModelFolder) throws {
        let limits = JSONLimits(
            maxDepth: 8, maxBytes: SafetensorsHeader.maxHeaderBytes, maxValues: 1_000_000,
            maxKeys: SafetensorsHeader.maxTensors, maxStringBytes: 1 << 20)
        let root = try folder.json(Self.fileName, limits: limits)
        try self.init(root, path: FileSystem.join(folder.path, Self.fileName))
    }

    /// Checks an index; whether the shards' names are plain file names is checked where they are opened.
    ///
    /// - Throws: `FormatError`.
    package init(_ root: JSONValue, path: String) throws(FormatError) {
        guard let map = root["weight_map"]?.object, !map.isEmpty else {
            throw FormatError(path: path, reason: "has no weight_map, or an empty one")
        }
        var shards: [String] = []
        var known: [String: Int] = [:]
        var positions: [String: Int] = [:]
        for (tensor, value) in map.entries {
            guard let shard = value.string, shard.hasSuffix(".safetensors") else {
                throw FormatError(
                    path: path,
                    reason: "the weight_map entry \(JSON.serialize(.string(tensor))) names no safetensors file")
            }
            if known[shard] == nil {
                guard shards.count < Self.maxShards else {
                    throw FormatError(path: path, reason: "names more than \(Self.maxShards) shards, the limit")
                }
                known[shard] = shards.count
                shards.append(shard)
            }
            positions[tensor] = known[shard]
        }
        self.shards = shards
        self.positions = positions
        if let total = root["metadata"]?["total_size"] {
            guard let bytes = total.int, bytes >= 0 else {
                throw FormatError(path: path, reason: "metadata.total_size is not a number of bytes")
            }
            totalBytes = bytes
        } else {
            totalBytes = nil
        }
    }

    /// Each shard stays open with a descriptor of its own.
    private static let maxShards = 1000
}
