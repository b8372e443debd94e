import CrumbFormats
import Glibc

/// Cuts a file.
func truncateFile(_ path: String, to byteCount: Int) throws {
    guard truncate(path, byteCount) == 0 else { throw FormatError(path: path, reason: "cannot be cut") }
}
