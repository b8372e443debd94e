// A folder as Hugging Face's libraries save it: settings and tokenizer in JSON, weights in safetensors.

package import CrumbJSON
package import CrumbTensor

/// A model in a Hugging Face folder. Code in the folder is never run, and `auto_map`, which would point to it, dropped.
package final class HuggingFaceCheckpoint: Checkpoint {
    package let path: String
    package let formatName = "Hugging Face"
    package let configuration: JSONObject
    package let configurationPath: String
    package let generationConfiguration: JSONObject?
    package let tensorNames: [String]
    /// The weights' files, in the order of the index.
    package let files: [SafetensorsFile]

    private let folder: ModelFolder
    private let positions: [String: Int]

    /// Opens and checks a folder.
    ///
    /// - Throws: `FormatError` or `JSONError` where a file is missing, damaged or disagrees with another.
    package init(path: String) throws {
        self.path = path
        folder = try ModelFolder(path: path)
        configurationPath = FileSystem.join(path, "config.json")
        guard folder.has("config.json") else {
            throw FormatError(path: path, reason: "holds no config.json, so it is no Hugging Face folder")
        }
        guard var configuration = try folder.json("config.json", limits: Self.settingsLimits).object else {
            throw FormatError(path: configurationPath, reason: "is JSON, but not an object")
        }
        configuration["auto_map"] = nil
        try ConfigurationCheck(path: configurationPath, configuration: configuration).run()
        self.configuration = configuration
        generationConfiguration =
            folder.has("generation_config.json")
            ? try folder.json("generation_config.json", limits: Self.settingsLimits).object : nil
        (files, positions) = try Self.weights(folder)
        tensorNames = files.flatMap { $0.header.tensors.map(\.layout.name) }
    }

    package func tensorLayout(_ name: String) throws -> TensorLayout {
        guard let position = positions[name], let layout = files[position].layout(name) else {
            throw FormatError(path: path, reason: "the tensor \(name) is missing from the weights")
        }
        return layout
    }

    package func tensor(_ name: String) throws -> TensorView {
        guard let position = positions[name] else {
            throw FormatError(path: path, reason: "the tensor \(name) is missing from the weights")
        }
        return try files[position].tensor(name)
    }

    package func sideFile(_ name: String) throws -> [UInt8]? { try folder.bytes(name, limit: Self.sideFileBytes) }

    package func checkUnchanged() throws {
        for file in files { try file.checkUnchanged() }
    }

    package var tokenizerFiles: TokenizerFiles {
        get throws {
            guard folder.has("tokenizer.json") else {
                throw FormatError(
                    path: path,
                    reason: "holds no tokenizer.json; save the tokenizer with transformers' fast tokenizers first")
            }
            let tokenizer = try folder.json("tokenizer.json")
            var settings = folder.has("tokenizer_config.json") ? try folder.json("tokenizer_config.json") : nil
            if folder.has("special_tokens_map.json"), let map = try folder.json("special_tokens_map.json").object {
                settings = Self.merged(settings, map)
            }
            return .huggingFace(
                tokenizer: tokenizer, configuration: settings, chatTemplate: try chatTemplate(settings))
        }
    }

    /// `chat_template.jinja` beside the settings wins over a template inside them, as in transformers.
    private func chatTemplate(_ settings: JSONValue?) throws -> String? {
        if folder.has("chat_template.jinja") {
            return try folder.text("chat_template.jinja", limit: Self.templateBytes)
        }
        if folder.has("chat_template.json"), let text = try folder.json("chat_template.json")["chat_template"]?.string {
            return text
        }
        guard let template = settings?["chat_template"] else { return nil }
        if let text = template.string { return text }
        // Older files hold a list of named templates.
        let named = template.array?.first { $0["name"]?.string == "default" } ?? template.array?.first
        return named?["template"]?.string
    }

    /// Special tokens that only `special_tokens_map.json` names.
    private static func merged(_ settings: JSONValue?, _ map: JSONObject) -> JSONValue {
        var object = settings?.object ?? JSONObject()
        for (key, value) in map.entries where object[key] == nil { object[key] = value }
        return .object(object)
    }

    private static func weights(_ folder: ModelFolder) throws -> ([SafetensorsFile], [String: Int]) {
        if folder.has("model.safetensors") {
            let file = try SafetensorsFile(path: try folder.file("model.safetensors"))
            let names = file.header.tensors.map { ($0.layout.name, 0) }
            return ([file], Dictionary(names) { first, _ in first })
        }
        guard folder.has(ShardIndex.fileName) else {
            let isPickled = folder.has("pytorch_model.bin") || folder.has("pytorch_model.bin.index.json")
            throw FormatError(
                path: folder.path,
                reason: "holds neither model.safetensors nor \(ShardIndex.fileName)"
                    + (isPickled ? "; its PyTorch weights could run code and are not read, convert them first" : ""))
        }
        let index = try ShardIndex(folder)
        let files = try index.shards.map { try SafetensorsFile(path: try folder.file($0)) }
        try check(files, index, folder)
        return (files, index.positions)
    }

    /// Every tensor is in exactly the shard that the index names, and the sizes add up.
    private static func check(_ files: [SafetensorsFile], _ index: ShardIndex, _ folder: ModelFolder) throws {
        let indexPath = FileSystem.join(folder.path, ShardIndex.fileName)
        var found = 0
        var bytes = 0
        for (position, file) in files.enumerated() {
            for tensor in file.header.tensors {
                guard index.positions[tensor.layout.name] == position else {
                    let place = index.positions[tensor.layout.name].map { index.shards[$0] } ?? "no shard"
                    throw FormatError(
                        path: file.path,
                        reason: "holds \(tensor.layout.name), which the index places in \(place)")
                }
                found += 1
                bytes += tensor.layout.byteCount
            }
        }
        if found != index.positions.count {
            let missing = index.positions.first { files[$0.value].layout($0.key) == nil }
            throw FormatError(
                path: indexPath, reason: "places \(missing?.key ?? "a tensor") in a shard that does not hold it")
        }
        if let total = index.totalBytes, total != bytes {
            throw FormatError(
                path: indexPath, reason: "metadata.total_size is \(total), but the tensors take \(bytes) bytes")
        }
    }

    private static let settingsLimits = JSONLimits(
        maxDepth: 32, maxBytes: 16 << 20, maxValues: 500_000, maxKeys: 100_000, maxStringBytes: 1 << 20)
    private static let templateBytes = 4 << 20
    /// As much as is read of a `tokenizer.json`, the largest of them.
    private static let sideFileBytes = 256 << 20
}
