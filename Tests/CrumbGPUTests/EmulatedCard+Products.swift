import CrumbABI
import CrumbPacked
import CrumbTensor
import Glibc

/// The kernels that multiply.
extension EmulatedCard {
    static var products: [Emulation] {
        let dequantize = emulate("dequantize_packed_f16", crumb_dequantize_args.self) { a, grid in
            precondition(isAligned(a.output, a.records))
            let tiles4 = a.shape.fourBitChannels / 32
            precondition(grid.y == (tiles4 + 31) / 32 + (a.shape.twoBitTiles + 31) / 32)
            precondition(grid.z == Int(a.shape.segments))
            let weights = permutedWeights(a.records, a.shape)
            let positions = a.shape.orderCount
            let first = Int(a.first_tile) * 32
            for n in first..<min(first + grid.x * 32, a.shape.n) {
                for i in 0..<positions {
                    DeviceNumbers<Float16>(a.output)[(n - first) * positions + i] = Float16(weights[n * positions + i])
                }
            }
        }
        let tables = [("matvec_f16", 16), ("matvec_q8", 8), ("matvec_q4", 4)].map { name, bits in
            Emulation(name: name, argumentBytes: MemoryLayout<crumb_matvec_args>.stride) { launch in
                matvec(launch.load(), bits: bits, launch)
            }
        }
        let packed = [1, 2, 4].map { width in
            Emulation(
                name: "packed_product_m\(width)", argumentBytes: MemoryLayout<crumb_packed_args>.stride
            ) { packedProduct($0.load(), width: width, $0) }
        }
        let matmul = [8, 16, 32, 64].map { width in
            Emulation(
                name: "packed_matmul_m\(width)", argumentBytes: MemoryLayout<crumb_matmul_args>.stride
            ) { packedMatmul($0.load(), width: width, $0) }
        }
        let roles = [16, 32].map { width in
            Emulation(
                name: "packed_matmul_roles_m\(width)", argumentBytes: MemoryLayout<crumb_matmul_args>.stride
            ) { launch in
                let arguments: crumb_matmul_args = launch.load()
                packedMatmul(arguments, width: width * Int(arguments.halves), launch)
            }
        }
        return [dequantize] + tables + packed + matmul + roles
    }

    private static func matvec(_ a: crumb_matvec_args, bits: Int, _ launch: Launch) {
        let (rows, columns, tokens) = (Int(a.rows), Int(a.columns), Int(a.tokens))
        precondition((1...8).contains(tokens) && columns % 32 == 0 && [2, 3].contains(a.stages))
        precondition([1, 2, 4, 8, 16].contains(a.k_split) && isAligned(a.weights, a.input, a.norm))
        let shared = crumb_matvec_shared_bytes(UInt32(bits), a.columns, a.tokens, UInt32(launch.threads), a.stages)
        precondition(Int(shared) == launch.sharedBytes && launch.threads % (32 * Int(a.k_split)) == 0)
        let storage = Int(bits == 16 ? CRUMB_TABLE_F16 : bits == 8 ? CRUMB_TABLE_Q8 : CRUMB_TABLE_Q4)
        for m in 0..<tokens {
            let factor = a.norm == 0 ? 1 : normFactor(a.input, row: m, columns: columns, epsilon: a.epsilon)
            let x = (0..<columns).map { k -> Float in
                guard a.norm != 0 else { return Float(DeviceNumbers<Float16>(a.input)[m * columns + k]) }
                return Float(
                    Float16(DeviceNumbers<Float>(a.input)[m * columns + k] * factor * DeviceNumbers<Float>(a.norm)[k]))
            }
            for n in 0..<rows {
                var sum: Float = a.bias == 0 ? 0 : DeviceNumbers<Float>(a.bias)[n]
                for k in 0..<columns { sum += x[k] * tableNumber(a.weights, a.scales, storage, n * columns + k) }
                let output = DeviceNumbers<Float>(a.output)
                output[m * rows + n] = sum + (a.accumulate != 0 ? output[m * rows + n] : 0)
            }
            if a.greedy != 0 { publish(a.choice, m, mostLikely(a.output, m, rows)) }
        }
    }

    private static func packedProduct(_ arguments: crumb_packed_args, width: Int, _ launch: Launch) {
        var planned = arguments
        let (a, tokens, blocks) = (arguments.product, Int(arguments.tokens), launch.grid.x)
        let bytes = crumb_packed_plan(&planned, UInt32(width), UInt32(blocks), 232_448)
        precondition(tokens <= width && Int(bytes) == launch.sharedBytes && bytes > 0)
        precondition(launch.threads == 32 * (Int(planned.warps) + Int(CRUMB_PACKED_OTHER_WARPS)))
        precondition(isAligned(a.input) && a.positions % 32 == 0 && planned.ring_bytes == arguments.ring_bytes)
        precondition(planned.product.block_units == a.block_units && planned.product.long_blocks == a.long_blocks)
        state.copyWindows[Int(arguments.window), default: 0] += 1
        product(a, tokens: tokens, epsilon: arguments.epsilon, width: 0, squares: blocks)
    }

    private static func packedMatmul(_ arguments: crumb_matmul_args, width: Int, _ launch: Launch) {
        var planned = arguments
        let (a, tokens) = (arguments.product, Int(arguments.tokens))
        let bytes = crumb_matmul_plan(&planned, UInt32(width), UInt32(launch.grid.x), 232_448)
        precondition(tokens <= width && Int(bytes) <= launch.sharedBytes && bytes > 0)
        let hasRoles = arguments.whole == UInt32(CRUMB_MATMUL_ROLES)
        precondition(
            launch.threads == (hasRoles ? Int(CRUMB_ROLES_THREADS) : 32 * Int(arguments.tiles * arguments.slices)))
        precondition(isAligned(a.input, arguments.partials) && arguments.arrivals != 0)
        precondition(planned.product.block_units == a.block_units && planned.product.long_blocks == a.long_blocks)
        product(a, tokens: tokens, epsilon: arguments.epsilon, width: width, squares: Int(a.parts.0.shape.row_tiles))
    }

    /// - Parameters:
    ///   - width: Of the input; 0 where it is not wide.
    ///   - squares: How many sums of squares of a token are left.
    private static func product(
        _ a: crumb_packed_product, tokens: Int, epsilon: Float, width: Int, squares: Int
    ) {
        let parts = [a.parts.0, a.parts.1, a.parts.2].prefix(Int(a.part_count))
        let (hidden, positions) = (Int(a.columns), Int(a.positions))
        for m in 0..<tokens {
            var factor: Float = 1
            if a.squares != 0 {
                let sum = (0..<Int(a.square_count)).reduce(Float(0)) {
                    $0 + DeviceNumbers<Float>(a.squares)[$1 * tokens + m]
                }
                factor = 1 / (sum / Float(hidden) + epsilon).squareRoot() / streamScale
            }
            let results = parts.map { part -> [Float] in
                precondition(isAligned(part.records))
                precondition(part.shape.orderCount == positions, "an input of another order")
                let weights = permutedWeights(part.records, part.shape)
                let x = (0..<positions).map { i in
                    Float(DeviceNumbers<Float16>(a.input)[inputIndex(i, m, positions: positions, width: width)])
                }
                return (0..<part.shape.n).map { n in
                    var sum: Float = 0
                    for i in 0..<positions { sum += x[i] * weights[n * positions + i] }
                    return sum * factor + (part.bias == 0 ? 0 : DeviceNumbers<Float>(part.bias)[n])
                }
            }
            switch Int(a.kind) {
            case Int(CRUMB_PACKED_STORE):
                for (part, y) in zip(parts, results) {
                    let row = m * Int(a.output_stride) + Int(part.first_feature)
                    for n in y.indices { DeviceNumbers<Float>(a.output)[row + n] = y[n] }
                }
            case Int(CRUMB_PACKED_SILU):
                for (n, gate) in results[0].enumerated() {
                    setNext(a, n, m, gate / (1 + expf(-gate)) * results[1][n])
                }
            default: addToStream(a, m, tokens, results[0], squares: squares)
            }
        }
    }

    private static func addToStream(
        _ a: crumb_packed_product, _ m: Int, _ tokens: Int, _ y: [Float], squares count: Int
    ) {
        var squares: Float = 0
        for n in y.indices {
            let stream = DeviceNumbers<Float>(a.output)
            let sum = stream[m * Int(a.output_stride) + n] + y[n]
            stream[m * Int(a.output_stride) + n] = sum
            squares += sum * sum
            if a.next_input != 0 { setNext(a, n, m, sum * DeviceNumbers<Float>(a.next_norm)[n] * streamScale) }
        }
        guard a.next_input != 0 else { return }
        // Each block has a share; here the last has all.
        for block in 0..<count {
            DeviceNumbers<Float>(a.next_squares)[block * tokens + m] = block == count - 1 ? squares : 0
        }
    }

    /// Feature `n` of the next products' input.
    private static func setNext(_ a: crumb_packed_product, _ n: Int, _ m: Int, _ value: Float) {
        let place = a.next_places == 0 ? n : Int(DeviceNumbers<UInt16>(a.next_places)[n])
        let index = inputIndex(place, m, positions: Int(a.next_positions), width: Int(a.next_width))
        DeviceNumbers<Float16>(a.next_input)[index] = Float16(value)
    }

    static func inputIndex(_ place: Int, _ token: Int, positions: Int, width: Int) -> Int {
        Int(crumb_input_index(UInt32(place), UInt32(token), UInt32(positions), UInt32(width)))
    }

    /// A packed matrix as fp32 (N, positions), outliers included; the records must not change.
    static func permutedWeights(_ records: UInt64, _ shape: crumb_packed_shape) -> [Float] {
        if let known = unpacked[records] { return known }
        let bytes = UnsafeRawBufferPointer(
            start: UnsafeRawPointer(bitPattern: UInt(records)), count: shape.byteCount)
        let view = TensorView(
            name: "records", type: .u8, shape: [shape.byteCount], bytes: bytes, owner: HeapBuffer(byteCount: 1))
        let order = ChannelOrder([UInt16](repeating: 0, count: shape.orderCount))
        guard let packed = try? PackedMatrix(shape: shape, records: view, order: order),
            let matrix = try? BlockUnpacker.unpack(packed)
        else { preconditionFailure("records that are none") }
        let positions = shape.orderCount
        var weights = [Float](repeating: 0, count: shape.n * positions)
        weights.withUnsafeMutableBufferPointer { weights in
            guard let base = weights.baseAddress else { return }
            for n in 0..<shape.n { matrix.dequantizeRow(n, into: base + n * positions) }
        }
        for outlier in matrix.outliers {
            weights[outlier.row * positions + outlier.position] += halfValue(outlier.delta)
        }
        unpacked[records] = weights
        return weights
    }

    nonisolated(unsafe) static var unpacked: [UInt64: [Float]] = [:]
}
