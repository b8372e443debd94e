package import CrumbTensor

/// The bytes of a whole file, mapped or already in memory, with the object that keeps them alive.
@safe
package struct FileMemory: @unchecked Sendable {  // the bytes are never written while this exists
    /// Names the file in errors.
    package let path: String
    @unsafe let bytes: UnsafeRawBufferPointer
    let owner: any AnyObject & Sendable
    private let file: MappedFile?

    /// A mapped file.
    package init(_ file: MappedFile) {
        path = file.path
        unsafe bytes = file.bytes
        owner = file
        self.file = file
    }

    /// A file that was put together or received in memory; `buffer` is not written any more.
    package init(_ buffer: HeapBuffer, byteCount: Int, path: String) {
        self.path = path
        unsafe bytes = UnsafeRawBufferPointer(rebasing: buffer.bytes[..<byteCount])
        owner = buffer
        file = nil
    }

    /// Throws where the file on disk changed since it was mapped.
    func checkUnchanged() throws(FormatError) { try file?.checkUnchanged() }
}
