import CrumbDigest
import CrumbEngine
import CrumbFormats
import CrumbJSON

/// What identifies a source model and a text, so that a stopped run is only gone on with for the same ones.
enum SourceDigest {
    /// The SHA-256 of a GGUF file, or of the digests of a folder's weights and settings.
    ///
    /// - Throws: `FormatError` where a file cannot be read.
    static func model(_ path: String) throws -> String {
        guard FileSystem.isFolder(path) else { return try FileDigest.sha256(of: path) }
        let files = try FileSystem.names(in: path).filter { $0.hasSuffix(".safetensors") || $0 == "config.json" }
        let lines = try files.map { "\($0) \(try FileDigest.sha256(of: FileSystem.join(path, $0)))" }
        return FileDigest.sha256(Array(lines.joined(separator: "\n").utf8))
    }

    /// The SHA-256 of token ids.
    static func tokens(_ tokens: [Int32]) -> String { FileDigest.sha256(bytes(of: tokens)) }

    /// Token ids, four little-endian bytes each.
    static func bytes(of tokens: [Int32]) -> [UInt8] {
        tokens.flatMap { token in (0..<4).map { UInt8(truncatingIfNeeded: token >> (8 * $0)) } }
    }
}

extension FolderDigests {
    /// Reads all files of a folder and writes their digests beside them.
    ///
    /// - Throws: `FormatError` where a file cannot be read or the digests cannot be written.
    static func write(for folder: String) throws {
        let names = try FileSystem.names(in: folder).filter { $0 != fileName }
        let digests = FolderDigests(
            files: try names.map { ($0, try FileDigest.sha256(of: FileSystem.join(folder, $0))) })
        try AtomicFile.write(JSON.serialize(digests.json, pretty: true) + "\n", to: FileSystem.join(folder, fileName))
    }
}
