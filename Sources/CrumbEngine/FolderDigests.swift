import CrumbFormats
package import CrumbJSON

/// The digests that a quantized folder carries for its own files.
package struct FolderDigests: Sendable {
    /// The file they stand in, which has no digest itself.
    package static let fileName = "crumb-digests.json"

    /// SHA-256 in lower-case hexadecimal, by file name, in the order of the file.
    package let files: [(name: String, digest: String)]

    package init(files: [(name: String, digest: String)]) { self.files = files }

    /// The contents of the file.
    package var json: JSONValue {
        [
            "algorithm": "sha256",
            "files": .object(JSONObject(files.map { ($0.name, .string($0.digest)) })),
        ]
    }

    /// Reads the digests of a folder.
    ///
    /// - Throws: `FormatError` or `JSONError` where there are none; `EngineError` for another algorithm or a name that
    ///   is no plain file name.
    package init(folder: String) throws {
        let path = FileSystem.join(folder, Self.fileName)
        let value = try JSON.parse(FileSystem.read(path, limit: 16 << 20), source: path)
        guard value["algorithm"]?.string == "sha256", let entries = value["files"]?.object?.entries else {
            throw EngineError("\(path): does not hold \"algorithm\": \"sha256\" and an object of \"files\"")
        }
        files = try entries.map { name, value in
            guard let digest = value.string, digest.utf8.count == 64 else {
                throw EngineError("\(path): the digest of \(name) is not 64 hexadecimal digits")
            }
            guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")),
                !name.utf8.contains(0)
            else { throw EngineError("\(path): \"\(name)\" is not a plain file name") }
            return (name, digest)
        }
    }
}
