// A file that exists under its name only when it is complete: bytes go to `<name>.part`, which is flushed to the disk
// and renamed at the end, and removed on every other way out.

import CrumbTensor
import Glibc

/// A file being written.
@safe
package final class OutputFile {
    /// The name it will have.
    package let path: String
    /// The bytes it will have, as declared at the start.
    package let expectedBytes: Int
    /// The bytes written so far.
    package private(set) var writtenBytes = 0

    private let partPath: String
    private var descriptor: Int32

    /// Creates `<path>.part`, or empties the one an earlier run left, and looks at the free space.
    ///
    /// - Throws: `FormatError` where it cannot be created or the disk has no room for `expectedBytes`.
    package init(path: String, expectedBytes: Int) throws(FormatError) {
        self.path = path
        self.expectedBytes = expectedBytes
        partPath = path + ".part"
        descriptor = unsafe open(partPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw FormatError(path: path, reason: "cannot be created: \(systemMessage())")
        }
        // Better now than after an hour's work. File systems that do not count blocks say so when bytes are written.
        var status = statvfs()
        if unsafe fstatvfs(descriptor, &status) == 0, status.f_blocks > 0,
            expectedBytes / max(Int(status.f_frsize), 1) > Int(clamping: status.f_bfree)
        {
            throw failed(ENOSPC)
        }
    }

    deinit { discard() }

    /// Appends bytes.
    ///
    /// - Throws: `FormatError` where the disk is full or fails; the partial file is gone then.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(FormatError) {
        precondition(descriptor >= 0, "\(path) was finished or discarded")
        var rest = unsafe bytes
        while rest.count > 0 {
            let count = unsafe Glibc.write(descriptor, rest.baseAddress, min(rest.count, 1 << 30))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failed(count < 0 ? errno : ENOSPC) }
            writtenBytes += count
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Appends bytes.
    package func write(_ bytes: [UInt8]) throws(FormatError) {
        let owner = HeapBuffer(byteCount: bytes.count)
        unsafe owner.mutableBytes.copyBytes(from: bytes)
        unsafe try write(UnsafeRawBufferPointer(rebasing: owner.bytes[..<bytes.count]))
    }

    /// Flushes the file to the disk and gives it its name.
    ///
    /// - Throws: `FormatError` where that fails or the number of bytes is not the declared one.
    package func finish() throws(FormatError) {
        precondition(descriptor >= 0, "\(path) was finished or discarded")
        precondition(writtenBytes == expectedBytes, "\(path): \(writtenBytes) of \(expectedBytes) bytes were written")
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw failed(errno) }
        guard close(descriptor) == 0 else {
            descriptor = -1
            let message = systemMessage()
            unsafe unlink(partPath)
            throw FormatError(path: path, reason: "cannot be closed: \(message)")
        }
        descriptor = -1
        guard unsafe rename(partPath, path) == 0 else {
            let message = systemMessage()
            unsafe unlink(partPath)
            throw FormatError(path: path, reason: "cannot be given its name: \(message)")
        }
        Self.syncFolder(of: path)
    }

    /// Removes the partial file; does nothing after `finish`.
    package func discard() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        descriptor = -1
        unsafe unlink(partPath)
    }

    private func failed(_ code: Int32) -> FormatError {
        discard()
        let progress = "\(writtenBytes) of \(expectedBytes) bytes were written"
        switch code {
        case ENOSPC, EDQUOT:
            return FormatError(
                path: path, reason: "does not fit on the disk, \(progress); free some space or choose another folder")
        default:
            return FormatError(path: path, reason: "cannot be written, \(progress): \(systemMessage(code))")
        }
    }

    /// Makes the new name durable. A file system that cannot do that still has the file, so a failure is no error.
    private static func syncFolder(of path: String) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}

/// Small files, written whole or not at all.
package enum AtomicFile {
    /// Replaces the file at `path`, which at every moment has either its old or its new bytes.
    ///
    /// - Throws: `FormatError` where it cannot be written.
    package static func write(_ bytes: [UInt8], to path: String) throws(FormatError) {
        let file = try OutputFile(path: path, expectedBytes: bytes.count)
        try file.write(bytes)
        try file.finish()
    }

    /// Replaces the file at `path` by a text in UTF-8.
    package static func write(_ text: String, to path: String) throws(FormatError) {
        try write([UInt8](text.utf8), to: path)
    }
}
