// The header of a safetensors file (https://github.com/huggingface/safetensors#format): 8 bytes of length, little-
// endian, then JSON that names dtype, shape and byte range of every tensor, then the data. Ranges must cover the data
// without overlap and without holes, which leaves no room to hide bytes in.

package import CrumbJSON
import CrumbTensor

/// The tensors and the metadata of a safetensors file.
package struct SafetensorsHeader: Sendable {
    /// The tensors in the order of their bytes.
    package let tensors: [SafetensorsTensor]
    /// `__metadata__`: strings by name.
    package let metadata: JSONObject

    /// The reference implementation's limit for the JSON text.
    package static let maxHeaderBytes = 100_000_000
    /// A published model of a trillion weights has some 100,000 tensors.
    static let maxTensors = 400_000
    static let maxRank = 8

    /// Reads and checks the header of a file that lies in memory as a whole.
    ///
    /// - Parameter path: names the file in errors.
    /// - Throws: `FormatError` or `JSONError` for everything that is damaged, inconsistent or not supported.
    package init(_ file: UnsafeRawBufferPointer, path: String) throws {
        var reader = unsafe ByteReader(file, path: path)
        let length = try reader.integer(UInt64.self, "the length of the header")
        guard length >= 2, length <= Self.maxHeaderBytes else {
            throw FormatError(
                path: path,
                reason: "claims a header of \(length) bytes, allowed are 2 to \(Self.maxHeaderBytes); it is no"
                    + " safetensors file, or a damaged one\(Self.hint(length))")
        }
        guard length <= reader.remaining else {
            throw FormatError(
                path: path,
                reason: "claims a header of \(length) bytes, but only \(reader.remaining) follow; the file is truncated"
            )
        }
        let text = unsafe UnsafeRawBufferPointer(rebasing: file[8..<8 + Int(length)])
        let limits = JSONLimits(
            maxDepth: 4, maxBytes: Self.maxHeaderBytes, maxValues: 8_000_000, maxKeys: Self.maxTensors + 1,
            maxStringBytes: 1 << 20)
        guard let entries = unsafe try JSON.parse(text, source: path, limits: limits).object else {
            throw FormatError(path: path, reason: "the header is JSON, but not an object")
        }
        let rows = SafetensorsRows(path: path, dataStart: 8 + Int(length), fileBytes: file.count)
        metadata = try rows.metadata(entries["__metadata__"])
        let count = entries.count - (entries["__metadata__"] == nil ? 0 : 1)
        guard count <= Self.maxTensors else {
            throw FormatError(path: path, reason: "holds \(count) tensors, above the limit of \(Self.maxTensors)")
        }
        var tensors: [SafetensorsTensor] = []
        tensors.reserveCapacity(entries.count)
        for (name, value) in entries.entries where name != "__metadata__" {
            tensors.append(try rows.tensor(name, value))
        }
        tensors.sort { ($0.offset, $0.layout.byteCount) < ($1.offset, $1.layout.byteCount) }
        try rows.checkCoverage(tensors)
        self.tensors = tensors
    }

    private static func hint(_ length: UInt64) -> String {
        switch length & 0xFFFF_FFFF {
        case 0x7372_6576: " (it starts like a Git LFS pointer; fetch the real file with git lfs pull)"
        case 0x4F44_213C, 0x6F64_213C, 0x6D74_683C: " (it starts like a web page; download it again)"
        case 0x0403_4B50: " (it starts like a PyTorch archive; convert it to safetensors)"
        default: ""
        }
    }
}

/// One tensor of a safetensors file.
package struct SafetensorsTensor: Sendable, Equatable {
    package let layout: TensorLayout
    /// The first byte, counted from the start of the file.
    package let offset: Int
}

/// Checks entries of the header against the format and the size of the file.
struct SafetensorsRows {
    let path: String
    let dataStart: Int
    let fileBytes: Int

    func metadata(_ value: JSONValue?) throws(FormatError) -> JSONObject {
        guard let value else { return JSONObject() }
        guard let object = value.object, object.entries.allSatisfy({ $0.value.string != nil }) else {
            throw error("__metadata__ must be an object of strings")
        }
        return object
    }

    func tensor(_ name: String, _ value: JSONValue) throws(FormatError) -> SafetensorsTensor {
        guard !name.isEmpty, name.utf8.count <= 1024, name.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
            throw error("a tensor's name must be 1 to 1024 printable ASCII characters")
        }
        guard let entry = value.object, entry.count == 3, let dtype = entry["dtype"]?.string,
            let dimensions = entry["shape"]?.array, let offsets = entry["data_offsets"]?.array, offsets.count == 2
        else {
            throw error("the entry of \(name) must have dtype, shape and two data_offsets, and nothing else")
        }
        guard let type = SafetensorsType.storage(dtype) else {
            throw error(
                "\(name) has the dtype \(dtype.prefix(20)), which cannot be read; known are \(SafetensorsType.known)")
        }
        guard dimensions.count <= SafetensorsHeader.maxRank else {
            throw error("\(name) has \(dimensions.count) dimensions, above the limit of \(SafetensorsHeader.maxRank)")
        }
        var shape: [Int] = []
        for dimension in dimensions {
            guard let size = dimension.int, size >= 0 else { throw error("a dimension of \(name) is not a size") }
            shape.append(size)
        }
        guard let layout = TensorLayout(name: name, type: type, shape: shape) else {
            throw error("the shape \(shape) of \(name) is too large")
        }
        let dataBytes = fileBytes - dataStart
        guard let begin = offsets[0].int, let end = offsets[1].int, 0 <= begin, begin <= end, end <= dataBytes else {
            throw error(
                "the data_offsets of \(name) are \(JSON.serialize(.array(offsets)).prefix(80)), outside the"
                    + " \(dataBytes) bytes of data; the file is truncated or damaged")
        }
        guard end - begin == layout.byteCount else {
            throw error(
                "\(name) has \(end - begin) bytes, but \(dtype) of shape \(shape) takes \(layout.byteCount) bytes")
        }
        return SafetensorsTensor(layout: layout, offset: dataStart + begin)
    }

    /// - Parameter tensors: sorted by offset.
    func checkCoverage(_ tensors: [SafetensorsTensor]) throws(FormatError) {
        var end = dataStart
        for tensor in tensors {
            guard tensor.offset == end else {
                let what = tensor.offset < end ? "overlaps the tensor before it" : "leaves a hole before it"
                throw error(
                    "\(tensor.layout.name) \(what): it starts at byte \(tensor.offset - dataStart) of the data instead of"
                        + " \(end - dataStart)")
            }
            end += tensor.layout.byteCount
        }
        guard end == fileBytes else {
            throw error("\(fileBytes - end) bytes at the end of the data belong to no tensor")
        }
    }

    private func error(_ reason: String) -> FormatError { FormatError(path: path, reason: reason) }
}

/// The dtype names of safetensors that have a storage type.
enum SafetensorsType {
    private static let types: [(name: String, type: StorageType)] = [
        ("F32", .f32), ("F16", .f16), ("BF16", .bf16), ("I8", .i8), ("U8", .u8), ("U16", .u16), ("I32", .i32),
        ("I64", .i64),
    ]

    static func storage(_ name: String) -> StorageType? { types.first { $0.name == name }?.type }

    /// - Returns: nil for GGML's block types, which safetensors has no name for.
    static func name(_ type: StorageType) -> String? { types.first { $0.type == type }?.name }

    static let known = types.map(\.name).joined(separator: ", ")
}
