import CrumbJSON
import CrumbReport
import Glibc

/// Standard output, unbuffered: what was written is seen even if the program is killed, and a full disk is noticed.
enum StandardOutput {
    /// Standard output could not take what was written to it.
    struct WriteError: Error, CustomStringConvertible {
        let description: String
    }

    /// Writes text as it is.
    ///
    /// - Throws: `WriteError` with the system's reason.
    static func write(_ text: String) throws {
        guard let code = writeAll(text, to: STDOUT_FILENO) else { return }
        throw WriteError(description: "standard output cannot be written: \(String(cString: strerror(code))).")
    }

    /// Writes text and a newline, unless it is empty or has one.
    static func write(line: String) throws {
        guard !line.isEmpty else { return }
        try write(line.hasSuffix("\n") ? line : line + "\n")
    }

    /// Writes one object on a line of its own.
    static func write(json: JSONObject) throws {
        try write(JSON.serialize(.object(json), pretty: false) + "\n")
    }
}

/// Writes all bytes of a text to a file descriptor.
///
/// - Returns: nil, or the `errno` of the write that failed.
func writeAll(_ text: String, to descriptor: Int32) -> Int32? {
    var text = text
    return text.withUTF8 { bytes -> Int32? in
        var rest = UnsafeRawBufferPointer(bytes)
        while let start = rest.baseAddress, !rest.isEmpty {
            let written = Glibc.write(descriptor, start, rest.count)
            if written < 0 {
                if errno == EINTR { continue }
                return errno
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
        return nil
    }
}
