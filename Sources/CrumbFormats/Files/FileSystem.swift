// The few questions asked of the file system, through POSIX calls.

import Glibc

/// The message of the last failed system call.
func systemMessage(_ code: Int32 = errno) -> String {
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: text)
}

package enum FileSystem {
    /// Whether something stands at this path (a link is followed).
    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0
    }

    /// Whether a folder stands at this path.
    package static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// A path below a folder.
    package static func join(_ folder: String, _ name: String) -> String {
        folder.utf8.last == UInt8(ascii: "/") ? folder + name : "\(folder)/\(name)"
    }

    /// The absolute path with every link resolved, nil where nothing stands there.
    static func resolved(_ path: String) -> String? {
        guard let real = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }

    /// All bytes of a small file.
    ///
    /// - Throws: `FormatError` where the file cannot be read or has more than `limit` bytes.
    package static func read(_ path: String, limit: Int) throws(FormatError) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FormatError(path: path, reason: "cannot be opened: \(systemMessage())") }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw FormatError(path: path, reason: "is not a regular file")
        }
        guard status.st_size <= limit else {
            throw FormatError(path: path, reason: "has \(status.st_size) bytes, above the limit of \(limit)")
        }
        var failure: Int32 = 0
        let size = Int(status.st_size)
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
            while filled < size {
                let count = unsafe Glibc.read(descriptor, buffer.baseAddress.map { unsafe $0 + filled }, size - filled)
                if count < 0 && errno == EINTR { continue }
                if count < 0 { failure = errno }
                if count <= 0 { return }
                filled += count
            }
        }
        guard failure == 0 else { throw FormatError(path: path, reason: "cannot be read: \(systemMessage(failure))") }
        guard bytes.count == size else {
            throw FormatError(path: path, reason: "was cut to \(bytes.count) of \(size) bytes while it was read")
        }
        return bytes
    }
}
