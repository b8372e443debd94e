package import CrumbFormats
import Crypto
import Glibc

/// SHA-256 of files and bytes, as lower-case hexadecimal.
///
/// A room of its own, because swift-crypto takes longer to compile than all readers together.
package enum FileDigest {
    /// Reads a regular file once, a mebibyte at a time.
    ///
    /// - Throws: `FormatError` where it cannot be read or is not a regular file.
    package static func sha256(of path: String) throws(FormatError) -> String {
        let descriptor = try FileSystem.openRegular(path)
        defer { close(descriptor) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { buffer.deallocate() }
        var hash = SHA256()
        while true {
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                throw FormatError(path: path, reason: "cannot be read: \(systemMessage())")
            }
            if count == 0 { return hexadecimal(hash.finalize()) }
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// The digest of bytes in memory.
    package static func sha256(_ bytes: [UInt8]) -> String {
        var hash = SHA256()
        bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return hexadecimal(hash.finalize())
    }

    private static func hexadecimal(_ digest: SHA256Digest) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
