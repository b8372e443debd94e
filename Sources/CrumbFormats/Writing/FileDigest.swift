import Crypto
import Glibc

/// SHA-256 of files and bytes, as lower-case hexadecimal.
package enum FileDigest {
    /// Reads a file once, a mebibyte at a time.
    ///
    /// - Throws: `FormatError` where it cannot be read.
    package static func sha256(of path: String) throws(FormatError) -> String {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FormatError(path: path, reason: "cannot be opened: \(systemMessage())") }
        defer { close(descriptor) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { unsafe buffer.deallocate() }
        var hash = SHA256()
        while true {
            let count = unsafe read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                throw FormatError(path: path, reason: "cannot be read: \(systemMessage())")
            }
            if count == 0 { return hexadecimal(hash.finalize()) }
            unsafe hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// The digest of bytes in memory.
    package static func sha256(_ bytes: [UInt8]) -> String {
        var hash = SHA256()
        unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        return hexadecimal(hash.finalize())
    }

    private static func hexadecimal(_ digest: SHA256Digest) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
