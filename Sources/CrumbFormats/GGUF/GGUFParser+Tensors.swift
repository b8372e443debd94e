import CrumbJSON
import CrumbTensor

extension GGUFParser {
    /// The table of tensors, checked against the size of the file and against itself.
    mutating func tensors(count: Int, metadata: JSONObject) throws(FormatError) -> [GGUFTensor] {
        let alignment = try alignment(metadata)
        var rows: [(layout: TensorLayout, offset: UInt64)] = []
        rows.reserveCapacity(count)
        var names: Set<String> = []
        for index in 0..<count {
            let row = try tensor(index)
            guard names.insert(row.layout.name).inserted else {
                throw error("the tensor \"\(row.layout.name)\" stands twice")
            }
            rows.append(row)
        }
        // The header lies inside the file and is below 2^29 bytes, so this sum cannot overflow.
        let start = (reader.offset + alignment - 1) / alignment * alignment
        var tensors: [GGUFTensor] = []
        tensors.reserveCapacity(count)
        for row in rows {
            tensors.append(try place(row.layout, row.offset, start: start, alignment: alignment))
        }
        try checkOverlap(tensors)
        return tensors
    }

    private func alignment(_ metadata: JSONObject) throws(FormatError) -> Int {
        guard let value = metadata["general.alignment"] else { return 32 }
        guard let alignment = value.int, GGUFLimits.alignments.contains(alignment), alignment.nonzeroBitCount == 1
        else {
            throw error(
                "general.alignment is \(JSON.serialize(value).prefix(40)), but must be a power of two from"
                    + " \(GGUFLimits.alignments.lowerBound) to \(GGUFLimits.alignments.upperBound)")
        }
        return alignment
    }

    private mutating func tensor(_ index: Int) throws(FormatError) -> (layout: TensorLayout, offset: UInt64) {
        let name = try name("the name of tensor \(index)", limit: GGUFLimits.nameBytes)
        let rank = try reader.integer(UInt32.self, "the rank of \(name)")
        guard rank >= 1, rank <= GGUFLimits.rank else {
            throw error("the tensor \(name) has \(rank) dimensions, allowed are 1 to \(GGUFLimits.rank)")
        }
        var shape: [Int] = []
        for axis in 0..<Int(rank) {
            let dimension = try reader.integer(UInt64.self, "dimension \(axis) of \(name)")
            guard dimension >= 1, let size = Int(exactly: dimension) else {
                throw error("dimension \(axis) of \(name) is \(dimension), which is not a size")
            }
            shape.append(size)
        }
        shape.reverse()
        let code = try reader.integer(UInt32.self, "the type of \(name)")
        let offset = try reader.integer(UInt64.self, "the offset of \(name)")
        guard let type = GGUFType.storage(code) else {
            throw error(
                "the tensor \(name) has the type \(GGUFType.name(code)), which cannot be read; known are"
                    + " \(GGUFType.known)")
        }
        guard let layout = TensorLayout(name: name, type: type, shape: shape) else {
            throw error(
                "the tensor \(name) of shape \(shape) does not fill whole \(GGUFType.name(code)) blocks"
                    + " of \(type.blockWeights) weights, or is too large")
        }
        return (layout, offset)
    }

    private func place(
        _ layout: TensorLayout, _ offset: UInt64, start: Int, alignment: Int
    ) throws(FormatError) -> GGUFTensor {
        guard offset % UInt64(alignment) == 0 else {
            throw error("the offset \(offset) of \(layout.name) is not a multiple of the alignment \(alignment)")
        }
        // Compared by subtraction: no sum of numbers from the file is ever formed.
        let room = fileBytes - start
        guard room >= 0, offset <= UInt64(room), layout.byteCount <= room - Int(offset) else {
            throw error(
                "the tensor \(layout.name) needs \(layout.byteCount) bytes at offset \(offset) of the data, which has"
                    + " \(max(room, 0)) bytes; the file is truncated or damaged")
        }
        return GGUFTensor(layout: layout, offset: start + Int(offset))
    }

    private func checkOverlap(_ tensors: [GGUFTensor]) throws(FormatError) {
        let sorted = tensors.sorted { $0.offset < $1.offset }
        for (first, second) in zip(sorted, sorted.dropFirst())
        where first.offset + first.layout.byteCount > second.offset {
            throw error(
                "the tensors \(first.name) and \(second.name) overlap: \(first.layout.byteCount) bytes at byte"
                    + " \(first.offset) reach beyond byte \(second.offset)")
        }
    }
}

/// The type numbers of GGML (`enum ggml_type`).
enum GGUFType {
    static func storage(_ code: UInt32) -> StorageType? {
        switch code {
        case 0: .f32
        case 1: .f16
        case 2: .q4_0
        case 3: .q4_1
        case 6: .q5_0
        case 7: .q5_1
        case 8: .q8_0
        case 10: .q2_K
        case 11: .q3_K
        case 12: .q4_K
        case 13: .q5_K
        case 14: .q6_K
        case 24: .i8
        case 26: .i32
        case 27: .i64
        case 30: .bf16
        default: nil
        }
    }

    /// The number, with its name where GGML has one.
    static func name(_ code: UInt32) -> String {
        names[code].map { "\($0) (\(code))" } ?? "\(code)"
    }

    static let known = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K"

    private static let names: [UInt32: String] = [
        0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
        12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
        20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
        29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
    ]
}
