import CrumbABI
package import CrumbPacked
package import CrumbTensor

/// Random matrices on the host, in the forms that weights have: what backends and devices are compared with each other on.
package enum RandomWeights {
    /// Each segment's channels in random order; padding may stand anywhere in a segment.
    package static func order(_ columns: Int, segments: Int, fourBit: Int, _ random: inout RandomStream) -> ChannelOrder
    {
        let width = columns / segments
        let padding = (width - fourBit + 63) / 64 * 64 + fourBit - width
        return ChannelOrder(
            (0..<segments).flatMap { segment in
                ((segment * width..<(segment + 1) * width).map { UInt16($0) }
                    + [UInt16](repeating: UInt16(CRUMB_PADDING_CHANNEL), count: padding)).shuffled(using: &random)
            })
    }

    /// Random codes, scales and outliers with weights of about 1 / sqrt(columns).
    package static func packed(
        _ rows: Int, _ columns: Int, segments: Int, order: ChannelOrder, fourBitChannels: Int,
        _ random: inout RandomStream
    ) throws -> PackedMatrix {
        guard
            let shape = crumb_packed_shape(
                rows: rows, columns: columns, segments: segments, fourBitChannels: fourBitChannels, outliersPerTile: 3)
        else { throw PackedError("no shape for (\(rows), \(columns))") }
        var matrix = QuantizedMatrix(shape: shape)
        for index in matrix.codes.indices {
            matrix.codes[index] = UInt8.random(
                in: matrix.isFourBit(index % shape.orderCount) ? 0...15 : 0...3, using: &random)
        }
        for index in matrix.scaleCodes.indices { matrix.scaleCodes[index] = UInt8.random(in: 0...15, using: &random) }
        for index in matrix.rowScales.indices {
            // 4-bit levels reach 7.5, 2-bit levels 1.5.
            matrix.rowScales[index] = halfBits(1 / Float(columns).squareRoot() / (index % 2 == 0 ? 40 : 8))
        }
        for segment in 0..<segments where shape.twoBitChannels > 0 {
            for row in 0..<rows where row % 16 == 0 {
                let channel = shape.fourBitChannels + Int.random(in: 0..<shape.twoBitChannels, using: &random)
                matrix.outliers.append(
                    Outlier(
                        row: row, position: segment * shape.segmentChannels + channel,
                        delta: halfBits(0.3 * random.symmetric())))
            }
        }
        return try PackedMatrix(matrix, name: "random", order: order)
    }

    /// Random codes of 8 or 4 bits, and scales with which weights reach 0.5 to 1.
    package static func grouped(
        _ rows: Int, _ columns: Int, bits: Int, _ random: inout RandomStream
    ) throws -> GroupedMatrix {
        let codes = HeapBuffer(byteCount: rows * columns * bits / 8)
        let scales = HeapBuffer(byteCount: rows * columns / 16)
        for index in codes.mutableBytes.indices {
            codes.mutableBytes[index] = UInt8.random(in: 0...255, using: &random)
        }
        for index in 0..<rows * columns / 32 {
            let scale = Float.random(in: 0.5...1, using: &random) / (bits == 8 ? 127 : 7)
            scales.mutableBytes.storeBytes(of: halfBits(scale), toByteOffset: 2 * index, as: UInt16.self)
        }
        return try GroupedMatrix(
            bits: bits, codes: codes.tensor("codes", bits == 8 ? .i8 : .u8, [rows, columns * bits / 8]),
            scales: scales.tensor("scales", .f16, [rows, columns / 32]))
    }

    /// Random numbers of about 1 / sqrt(columns) as fp32, fp16 or bf16.
    package static func dense(
        _ name: String, _ rows: Int, _ columns: Int, _ type: StorageType, _ random: inout RandomStream,
        isBroken: Bool = false
    ) -> TensorView {
        let buffer = HeapBuffer(byteCount: rows * columns * type.blockBytes)
        for index in 0..<rows * columns {
            let number = random.normal() / Float(columns).squareRoot()
            switch type {
            case .f16: buffer.mutableBytes.storeBytes(of: halfBits(number), toByteOffset: 2 * index, as: UInt16.self)
            case .bf16:
                buffer.mutableBytes.storeBytes(
                    of: UInt16(number.bitPattern >> 16), toByteOffset: 2 * index, as: UInt16.self)
            default: buffer.mutableBytes.storeBytes(of: number, toByteOffset: 4 * index, as: Float.self)
            }
        }
        if isBroken { buffer.mutableBytes.storeBytes(of: 0x7E00, toByteOffset: 0, as: UInt16.self) }
        return buffer.tensor(name, type, [rows, columns])
    }
}
