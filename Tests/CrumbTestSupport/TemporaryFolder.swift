import CrumbFormats
package import CrumbJSON
import Glibc

/// A folder that is removed with everything in it when this object goes.
package final class TemporaryFolder {
    package let path: String

    package init() throws {
        var template = Array("/tmp/crumb-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FormatError(path: "/tmp", reason: "no temporary folder") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        for name in names(in: path) { remove("\(path)/\(name)") }
        if rmdir(path) != 0 { unlink(path) }
    }

    /// The names of all entries, sorted.
    package var names: [String] { Self.names(in: path) }

    private static func names(in path: String) -> [String] {
        var status = stat()
        // A link is an entry of its own; what it points to stays.
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, let folder = opendir(path) else {
            return []
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Writes a file and returns its path.
    @discardableResult
    package func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = "\(path)/\(name)"
        try AtomicFile.write(bytes, to: path)
        return path
    }

    /// Writes a file and returns its path.
    @discardableResult
    package func write(_ name: String, _ value: JSONValue) throws -> String {
        try write(name, JSON.serializedBytes(value))
    }

    /// The bytes of a file.
    package func read(_ name: String) throws -> [UInt8] { try FileSystem.read("\(path)/\(name)", limit: 1 << 30) }

    /// Makes a symbolic link.
    package func link(_ name: String, to target: String) { symlink(target, "\(path)/\(name)") }
}
