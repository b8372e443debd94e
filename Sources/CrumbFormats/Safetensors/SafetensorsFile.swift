package import CrumbTensor

/// One safetensors file.
package final class SafetensorsFile: Sendable {
    package let path: String
    package let header: SafetensorsHeader
    private let memory: FileMemory
    private let positions: [String: Int]

    /// Opens and checks a file.
    ///
    /// - Throws: `FormatError` or `JSONError` where it is damaged or holds a type that is not supported.
    package convenience init(path: String) throws {
        try self.init(FileMemory(try MappedFile(path: path)))
    }

    /// Reads and checks a file that lies in memory.
    ///
    /// - Throws: as `init(path:)`.
    package init(_ memory: FileMemory) throws {
        path = memory.path
        self.memory = memory
        header = unsafe try SafetensorsHeader(memory.bytes, path: memory.path)
        var positions: [String: Int] = [:]
        for (position, tensor) in header.tensors.enumerated() { positions[tensor.layout.name] = position }
        self.positions = positions
    }

    /// The layout of a tensor, nil where there is none of this name.
    package func layout(_ name: String) -> TensorLayout? { positions[name].map { header.tensors[$0].layout } }

    /// A window on a tensor's bytes; a fresh copy where a short header left them unaligned to their element size.
    ///
    /// - Throws: `FormatError` where there is no such tensor.
    package func tensor(_ name: String) throws(FormatError) -> TensorView {
        guard let position = positions[name] else {
            throw FormatError(path: path, reason: "the tensor \(name) is missing")
        }
        let tensor = header.tensors[position]
        let layout = tensor.layout
        let bytes = unsafe UnsafeRawBufferPointer(
            rebasing: memory.bytes[tensor.offset..<tensor.offset + layout.byteCount])
        if tensor.offset % layout.type.blockBytes == 0 {
            return unsafe TensorView(
                name: name, type: layout.type, shape: layout.shape, bytes: bytes, owner: memory.owner)
        }
        let copy = HeapBuffer(byteCount: layout.byteCount)
        unsafe copy.mutableBytes.copyMemory(from: bytes)
        return copy.tensor(name, layout.type, layout.shape)
    }

    /// Throws where the file changed since it was opened.
    package func checkUnchanged() throws(FormatError) { try memory.checkUnchanged() }
}
