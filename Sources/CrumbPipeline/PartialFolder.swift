import CrumbDigest
import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbTensor
import Glibc

/// A model's folder that is put together beside its final place and moved there when all of it is on disk.
struct PartialFolder {
    let path: String

    /// Bytes of a shard at most, as in most published models.
    private static let shardBytes = 4 << 30

    func make() throws(PipelineError) {
        guard mkdir(path, 0o755) == 0 else {
            throw PipelineError("\(path): the folder cannot be made: \(systemMessage())")
        }
    }

    /// Writes the weights and what else is needed to load them but `config.json`.
    ///
    /// - Parameter model: Whose tokenizer it is.
    func write(_ tensors: [TensorView], tokenizerOf model: LoadedModel) throws {
        let writer = ShardedWriter(folder: path, tensors: tensors.map(\.layout), maxShardBytes: Self.shardBytes)
        for tensor in tensors { try writer.append(tensor) }
        try writer.finish()
        try TokenizerFolder.write(model, to: path)
    }

    /// Writes the `config.json` of `model` with the weights' description in it.
    func writeConfiguration(of model: LoadedModel, _ quantization: QuantizationConfiguration) throws {
        var configuration = model.checkpoint.configuration
        configuration["quantization_config"] = .object(quantization.json)
        try AtomicFile.write(
            JSON.serialize(.object(configuration), pretty: true) + "\n", to: FileSystem.join(path, "config.json"))
    }

    /// Writes the `README.md` and the digests of all files, and moves the folder to its place.
    func finish(readMe: String?, to place: String) throws {
        if let readMe { try AtomicFile.write(readMe, to: FileSystem.join(path, "README.md")) }
        try FolderDigests.write(for: path)
        guard rename(path, place) == 0 else {
            throw PipelineError(
                "\(place): the finished folder cannot be moved there from \(path): \(systemMessage())")
        }
    }

    /// Removes the folder, as far as it is there.
    func remove() {
        for name in (try? FileSystem.names(in: path)) ?? [] { unlink(FileSystem.join(path, name)) }
        rmdir(path)
    }

    /// - Throws: `PipelineError` where something is at the final place already.
    static func checkFree(_ place: String) throws(PipelineError) {
        guard !FileSystem.exists(place) else {
            throw PipelineError("\(place) exists already; choose another output folder or remove it")
        }
    }
}
