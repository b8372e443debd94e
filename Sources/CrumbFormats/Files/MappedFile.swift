// A file in memory, read-only. The kernel brings pages in as they are touched and may drop them again, so a mapped
// file costs no memory of its own.
//
// A file that another program cuts short while it is mapped raises SIGBUS at the next touch of a page past its new
// end; no mapping flag prevents that (MAP_PRIVATE only keeps our own writes to ourselves, and we make none). The size
// is taken once, from the open descriptor, and `checkUnchanged` compares it again: long jobs call it between steps, so
// that a replaced or shortened file ends in a sentence and not in a signal.

import CrumbTensor
import Glibc

/// A whole file mapped read-only; the memory lives as long as this object.
@safe
package final class MappedFile: @unchecked Sendable {  // immutable after init, and the memory is never written
    /// The path it was opened by.
    package let path: String
    /// The bytes of the file; nothing where the file is empty.
    @unsafe package let bytes: UnsafeRawBufferPointer
    private let descriptor: Int32
    private let modified: timespec

    /// Maps a regular file.
    ///
    /// - Throws: `FormatError` where the file cannot be opened or mapped, or is not a regular file.
    package init(path: String) throws(FormatError) {
        let descriptor = try FileSystem.openRegular(path)
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_size >= 0 else {
            let message = systemMessage()
            close(descriptor)
            throw FormatError(path: path, reason: "cannot be examined: \(message)")
        }
        var mapped = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        if status.st_size > 0 {
            let memory = unsafe mmap(nil, Int(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0)
            guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
                let message = systemMessage()
                close(descriptor)
                throw FormatError(path: path, reason: "\(status.st_size) bytes cannot be mapped: \(message)")
            }
            unsafe mapped = UnsafeRawBufferPointer(start: memory, count: Int(status.st_size))
        }
        self.path = path
        unsafe self.bytes = unsafe mapped
        self.descriptor = descriptor
        self.modified = status.st_mtim
    }

    deinit {
        if let start = unsafe bytes.baseAddress { unsafe munmap(UnsafeMutableRawPointer(mutating: start), byteCount) }
        close(descriptor)
    }

    /// The size of the file when it was opened.
    package var byteCount: Int { unsafe bytes.count }

    /// Compares size and modification time with those at opening.
    ///
    /// - Throws: `FormatError` where the file was changed since.
    package func checkUnchanged() throws(FormatError) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw FormatError(path: path, reason: "can no longer be examined: \(systemMessage())")
        }
        guard Int(status.st_size) == byteCount, status.st_mtim.tv_sec == modified.tv_sec,
            status.st_mtim.tv_nsec == modified.tv_nsec
        else {
            throw FormatError(
                path: path,
                reason: "was changed while in use (\(byteCount) bytes when opened, \(status.st_size) now); start again")
        }
    }
}
