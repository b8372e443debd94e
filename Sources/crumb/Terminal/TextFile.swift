import CrumbFormats
import Glibc

/// Texts that a user hands over.
enum TextFile {
    /// More than any prompt or evaluation takes, and little enough to hold several times.
    static let limit = 1 << 30

    /// The text of a file.
    ///
    /// - Throws: `FormatError` where it cannot be read or is no UTF-8.
    static func read(_ path: String) throws -> String {
        let bytes = try FileSystem.read(path, limit: limit)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw FormatError(path: path, reason: "is not a text in UTF-8; convert it first")
        }
        return text
    }

    /// Looks before the work whether a file can be written after it.
    ///
    /// - Throws: `CommandError` where the folder it is to lie in cannot be written.
    static func checkWritable(_ path: String) throws {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        guard access(folder, W_OK) == 0, !FileSystem.isFolder(path) else {
            throw CommandError("\(path) cannot be written; choose a file in a folder that exists and is yours")
        }
    }
}
