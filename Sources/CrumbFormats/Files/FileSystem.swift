// The few questions asked of the file system, through POSIX calls.

import Glibc

/// The message of the last failed system call.
package func systemMessage(_ code: Int32 = errno) -> String {
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

    /// The name at the end of a path, whether or not a slash follows it.
    package static func lastComponent(of path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
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

    /// The names of all entries of a folder but `.` and `..`, sorted by their bytes.
    ///
    /// - Throws: `FormatError` where it cannot be listed.
    package static func names(in folder: String) throws(FormatError) -> [String] {
        guard let stream = unsafe opendir(folder) else {
            throw FormatError(path: folder, reason: "cannot be listed: \(systemMessage())")
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        // An end and a failure both give nil; only the latter sets errno.
        errno = 0
        while let entry = unsafe readdir(stream) {
            // The name ends with a zero byte inside the field.
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { field in
                unsafe String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw FormatError(path: folder, reason: "cannot be listed: \(systemMessage())") }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// The bytes of a file (a link is followed).
    ///
    /// - Throws: `FormatError` where nothing stands there.
    package static func size(of path: String) throws(FormatError) -> Int {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            throw FormatError(path: path, reason: "cannot be examined: \(systemMessage())")
        }
        return Int(status.st_size)
    }

    /// Opens a regular file for reading; anything else, such as a pipe nobody writes to, is refused without waiting.
    ///
    /// - Returns: the descriptor, which the caller closes.
    /// - Throws: `FormatError` where it cannot be opened or is not a regular file.
    package static func openRegular(_ path: String) throws(FormatError) -> Int32 {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw FormatError(path: path, reason: "cannot be opened: \(systemMessage())") }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw FormatError(path: path, reason: "is not a regular file")
        }
        return descriptor
    }

    /// All bytes of a small file.
    ///
    /// - Throws: `FormatError` where the file cannot be read or has more than `limit` bytes.
    package static func read(_ path: String, limit: Int) throws(FormatError) -> [UInt8] {
        let descriptor = try openRegular(path)
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw FormatError(path: path, reason: "cannot be examined: \(systemMessage())")
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
