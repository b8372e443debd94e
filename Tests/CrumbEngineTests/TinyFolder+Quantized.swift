import CrumbABI
import CrumbEngine
import CrumbJSON
import CrumbPacked
import CrumbTensor

extension TinyFolder {
    /// A folder whose matrices are stored as Crumb stores them, with random codes, and a plain one with the same weights
    /// in fp32.
    static func quantizedPair() throws -> (quantized: TinyFolder, plain: TinyFolder) {
        let (quantized, plain) = (TinyFolder(), TinyFolder())
        var random = RandomSource(seed: 11)
        var matrices: [String: QuantizationConfiguration.Matrix] = [:]
        var orders: [String: ChannelOrder] = [:]
        for (name, rows, columns) in Self.matrices where name.hasSuffix("_proj") {
            // The inputs of o and down are cut in two; down's halves of 96 channels are padded to 128.
            let isCut = name.hasSuffix("o_proj") || name.hasSuffix("down_proj")
            let input = name.contains(".mlp.g") || name.contains(".mlp.u") ? "gate_up" : isCut ? "own" : "qkv"
            let order = "model.layers.\(name.split(separator: ".")[2]).\(input).\(columns).order"
            guard
                let shape = crumb_packed_shape(
                    rows: rows, columns: columns, segments: isCut ? 2 : 1, fourBitChannels: isCut ? 0 : 64,
                    outliersPerTile: isCut ? 3 : 1)
            else { preconditionFailure("\(name) has no packed shape") }
            let channels = orders[order] ?? randomOrder(shape, &random)
            orders[order] = channels
            let numbers = randomMatrix(shape, channels, &random)
            let buffer = try BlockPacker.pack(numbers)
            let recordShape = [Int(shape.segments), shape.rowTiles, shape.recordBytes]
            quantized.tensors["\(name).weight"] = Tensor(
                type: .u8, shape: recordShape, bytes: Array(buffer.bytes.prefix(shape.byteCount)))
            quantized.tensors[order] = Tensor(
                type: .u16, shape: [shape.orderCount], bytes: channels.channels.withUnsafeBytes { Array($0) })
            matrices["\(name).weight"] = QuantizationConfiguration.Matrix(shape: shape, order: order)
            plain.set("\(name).weight", [rows, columns], numbers.dequantized(order: channels))
        }
        var grouped: [String: QuantizationConfiguration.Grouped] = [:]
        for (name, bits) in [("model.embed_tokens", 8), ("lm_head", 4)] {
            grouped["\(name).weight"] = QuantizationConfiguration.Grouped(bits: bits, scales: "\(name).scales")
            group(name, bits: bits, quantized, plain, &random)
        }
        quantized.configuration["quantization_config"] = .object(
            QuantizationConfiguration(matrices: matrices, grouped: grouped).json)
        return (quantized, plain)
    }

    /// Channels shuffled within their segments, padding behind them.
    private static func randomOrder(_ shape: crumb_packed_shape, _ random: inout RandomSource) -> ChannelOrder {
        var channels: [UInt16] = []
        for segment in 0..<Int(shape.segments) {
            let first = segment * shape.segmentColumns
            channels += (first..<first + shape.segmentColumns).map { UInt16($0) }.shuffled(using: &random)
            channels += [UInt16](repeating: 0xFFFF, count: shape.segmentChannels - shape.segmentColumns)
        }
        return ChannelOrder(channels)
    }

    private static func randomMatrix(
        _ shape: crumb_packed_shape, _ order: ChannelOrder, _ random: inout RandomSource
    ) -> QuantizedMatrix {
        var matrix = QuantizedMatrix(shape: shape)
        for index in matrix.codes.indices {
            matrix.codes[index] = UInt8(random.integer(below: matrix.isFourBit(index % shape.orderCount) ? 16 : 4))
        }
        for index in matrix.scaleCodes.indices { matrix.scaleCodes[index] = UInt8(random.integer(below: 16)) }
        for index in matrix.rowScales.indices { matrix.rowScales[index] = halfBits(Float(random.uniform() * 0.01)) }
        // One outlier in each 2-bit tile of the first rows.
        for tile in stride(from: 0, to: shape.n, by: 32) {
            for position in stride(from: shape.fourBitChannels, to: shape.segmentChannels, by: 64) {
                matrix.outliers.append(
                    Outlier(
                        row: tile + random.integer(below: min(32, shape.n - tile)),
                        position: position + random.integer(below: min(32, shape.segmentColumns - position)),
                        delta: halfBits(0.5)))
            }
        }
        return matrix
    }

    /// Codes in groups of 32 features in one folder, the same numbers in fp32 in the other.
    private static func group(
        _ name: String, bits: Int, _ quantized: TinyFolder, _ plain: TinyFolder, _ random: inout RandomSource
    ) {
        let (rows, columns) = (vocabulary, hidden)
        let scales = (0..<rows * columns / 32).map { _ in halfBits(Float(random.uniform() * 0.02)) }
        let values = (0..<rows * columns).map { _ in random.integer(below: bits == 8 ? 255 : 16) - (bits == 8 ? 127 : 8)
        }
        let codes: [UInt8] =
            bits == 8
            ? values.map { UInt8(bitPattern: Int8($0)) }
            : stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] + 8) | UInt8(values[$0 + 1] + 8) << 4 }
        quantized.tensors["\(name).weight"] = Tensor(
            type: bits == 8 ? .i8 : .u8, shape: [rows, columns * bits / 8], bytes: codes)
        quantized.tensors["\(name).scales"] = Tensor(
            type: .f16, shape: [rows, columns / 32], bytes: scales.withUnsafeBytes { Array($0) })
        plain.set(
            "\(name).weight", [rows, columns], values.indices.map { Float(values[$0]) * halfValue(scales[$0 / 32]) })
    }
}
