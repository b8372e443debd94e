import CrumbJSON
package import CrumbTensor

/// Writes one safetensors file: all tensors are declared first, then their bytes are given in the same order.
///
/// The header is padded so that the data start at a multiple of 64 bytes of the file; tensors whose sizes are multiples
/// of 64 keep that alignment for the next. The file has its name only after `finish`; an object dropped before that
/// removes what was written.
package final class SafetensorsWriter {
    /// The tensors in the order in which their bytes must come.
    package let tensors: [TensorLayout]
    private let file: OutputFile
    private let headerBytes: Int
    private var current = 0
    private var currentBytes = 0

    /// Creates the file and writes its header.
    ///
    /// - Parameters:
    ///   - tensors: in the order of the data; none of GGML's block types.
    ///   - metadata: strings for `__metadata__`.
    /// - Throws: `FormatError` where the file cannot be created or the disk has no room.
    package init(
        path: String, tensors: [TensorLayout], metadata: [(String, String)] = [("format", "pt")]
    ) throws(FormatError) {
        let header = Self.header(tensors, metadata)
        self.tensors = tensors
        headerBytes = header.count
        let dataBytes = tensors.reduce(0) { $0 + $1.byteCount }
        file = try OutputFile(path: path, expectedBytes: header.count + dataBytes)
        try file.write(header)
        skipEmpty()
    }

    /// The size of the whole file.
    package var fileBytes: Int { file.expectedBytes }

    /// Appends bytes of the current tensor; a tensor may come in any number of pieces, but a piece never reaches into
    /// the next tensor.
    ///
    /// - Throws: `FormatError` where the disk is full or fails; the partial file is gone then.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(FormatError) {
        guard bytes.count > 0 else { return }
        precondition(current < tensors.count, "bytes after the last tensor of \(file.path)")
        let tensor = tensors[current]
        precondition(
            currentBytes + bytes.count <= tensor.byteCount,
            "\(currentBytes + bytes.count) bytes for \(tensor.name), which has \(tensor.byteCount)")
        unsafe try file.write(bytes)
        currentBytes += bytes.count
        if currentBytes == tensor.byteCount {
            current += 1
            currentBytes = 0
            skipEmpty()
        }
    }

    /// Appends a whole tensor.
    package func append(_ tensor: TensorView) throws(FormatError) {
        precondition(
            current < tensors.count && currentBytes == 0 && tensor.type == tensors[current].type
                && tensor.shape == tensors[current].shape,
            "\(tensor.name) is not the next tensor of \(file.path)")
        unsafe try append(tensor.bytes)
    }

    /// Completes the file: flushed, closed, renamed.
    ///
    /// - Throws: `FormatError` where that fails.
    package func finish() throws(FormatError) {
        precondition(current == tensors.count, "\(tensors.count - current) tensors of \(file.path) are missing")
        try file.finish()
    }

    /// Drops the partial file.
    package func discard() { file.discard() }

    /// Tensors without bytes are complete from the start.
    private func skipEmpty() {
        while current < tensors.count && tensors[current].byteCount == 0 { current += 1 }
    }

    private static func header(_ tensors: [TensorLayout], _ metadata: [(String, String)]) -> [UInt8] {
        var object = JSONObject()
        if !metadata.isEmpty {
            object["__metadata__"] = .object(JSONObject(metadata.map { ($0, .string($1)) }))
        }
        var offset = 0
        for tensor in tensors {
            guard let dtype = SafetensorsType.name(tensor.type) else {
                preconditionFailure("safetensors has no dtype for \(tensor.type) (\(tensor.name))")
            }
            precondition(object[tensor.name] == nil, "\(tensor.name) is declared twice")
            object[tensor.name] = [
                "dtype": .string(dtype), "shape": .array(tensor.shape.map { JSONValue($0) }),
                "data_offsets": [JSONValue(offset), JSONValue(offset + tensor.byteCount)],
            ]
            offset += tensor.byteCount
        }
        var text = JSON.serializedBytes(.object(object))
        while (8 + text.count) % 64 != 0 { text.append(UInt8(ascii: " ")) }
        precondition(text.count <= SafetensorsHeader.maxHeaderBytes, "a header of \(text.count) bytes")
        return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
    }
}
