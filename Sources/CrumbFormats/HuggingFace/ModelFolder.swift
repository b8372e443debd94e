// The files of a Hugging Face folder, by plain name. Nothing outside the folder is ever opened, save that a snapshot in
// Hugging Face's download cache links to its sibling `blobs`.

import CrumbJSON
import Glibc

struct ModelFolder: Sendable {
    let path: String
    private let allowedPrefixes: [String]

    /// - Throws: `FormatError` where the folder cannot be resolved.
    init(path: String) throws(FormatError) {
        self.path = path
        guard let real = FileSystem.resolved(path) else {
            throw FormatError(path: path, reason: "cannot be opened: \(systemMessage())")
        }
        var prefixes = [real.hasSuffix("/") ? real : real + "/"]
        let parts = real.split(separator: "/")
        if parts.count >= 2, parts[parts.count - 2] == "snapshots" {
            prefixes.append("/" + parts.dropLast(2).joined(separator: "/") + "/blobs/")
        }
        allowedPrefixes = prefixes
    }

    func has(_ name: String) -> Bool { FileSystem.exists(FileSystem.join(path, name)) }

    /// The path of a file of the folder.
    ///
    /// - Throws: `FormatError` where the name is no plain file name, nothing stands there, or it is a link out of the
    ///   folder.
    func file(_ name: String) throws(FormatError) -> String {
        try checkPlain(name)
        let file = FileSystem.join(path, name)
        guard let real = FileSystem.resolved(file) else {
            throw FormatError(path: path, reason: "the file \(name) is missing")
        }
        guard allowedPrefixes.contains(where: { real.hasPrefix($0) }) else {
            throw FormatError(path: file, reason: "is a link out of its folder, to \(real), and is not followed")
        }
        return file
    }

    /// The JSON in a file of the folder.
    ///
    /// - Throws: `FormatError` or `JSONError`.
    func json(_ name: String, limits: JSONLimits = JSONLimits()) throws -> JSONValue {
        let file = try file(name)
        return try JSON.parse(try FileSystem.read(file, limit: limits.maxBytes), source: file, limits: limits)
    }

    /// The text in a file of the folder.
    func text(_ name: String, limit: Int) throws(FormatError) -> String {
        let file = try file(name)
        guard let text = String(validating: try FileSystem.read(file, limit: limit), as: UTF8.self) else {
            throw FormatError(path: file, reason: "is not valid UTF-8")
        }
        return text
    }

    /// All bytes of a file of the folder, nil where nothing stands there.
    ///
    /// - Throws: `FormatError` as `file`, and where it is not a regular file or has more than `limit` bytes.
    func bytes(_ name: String, limit: Int) throws(FormatError) -> [UInt8]? {
        try checkPlain(name)
        guard has(name) else { return nil }
        return try FileSystem.read(try file(name), limit: limit)
    }

    private func checkPlain(_ name: String) throws(FormatError) {
        guard Self.isPlain(name) else {
            throw FormatError(
                path: path, reason: "refers to \(JSON.serialize(.string(name))), which is no plain file name")
        }
    }

    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 255 && name != "." && name != ".."
            && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 < 0x20 || $0 == 0x7F }
    }
}
