import CrumbABI
import Glibc

/// The kernels without products.
extension EmulatedCard {
    static var elementwise: [Emulation] {
        [
            emulate("embed", crumb_embed_args.self) { a, grid in
                let columns = Int(a.columns)
                precondition(isAligned(a.table, a.output) && columns % 4 == 0 && 1024 * grid.x >= columns)
                for m in 0..<grid.y {
                    let token = Int(DeviceNumbers<Int32>(a.tokens)[m])
                    for k in 0..<columns {
                        DeviceNumbers<Float>(a.output)[m * columns + k] = tableNumber(
                            a.table, a.scales, Int(a.storage), token * columns + k)
                    }
                }
            },
            emulate("rmsnorm_gather_f16", crumb_rmsnorm_args.self) { a, grid in
                precondition(isAligned(a.input, a.order, a.output) && a.columns % 4 == 0 && a.positions % 8 == 0)
                for m in 0..<grid.x {
                    let (columns, positions) = (Int(a.columns), Int(a.positions))
                    let factor = normFactor(a.input, row: m, columns: columns, epsilon: a.epsilon)
                    for i in 0..<positions {
                        let k = a.order == 0 ? i : Int(DeviceNumbers<UInt16>(a.order)[i])
                        DeviceNumbers<Float16>(a.output)[m * positions + i] =
                            k == Int(CRUMB_PADDING_CHANNEL)
                            ? 0
                            : Float16(
                                DeviceNumbers<Float>(a.input)[m * columns + k] * factor
                                    * DeviceNumbers<Float>(a.weight)[k])
                    }
                }
            },
            emulate("stream_input", crumb_stream_input_args.self) { a, grid in
                precondition(grid.x == Int(a.tokens), "a block for each token")
                for m in 0..<grid.x {
                    var sum: Float = 0
                    for k in 0..<Int(a.columns) {
                        let x = DeviceNumbers<Float>(a.stream)[m * Int(a.columns) + k]
                        sum += x * x
                        let place = a.places == 0 ? k : Int(DeviceNumbers<UInt16>(a.places)[k])
                        let index = inputIndex(
                            place, m, positions: Int(a.next_positions), width: Int(a.next_width))
                        DeviceNumbers<Float16>(a.next_input)[index] = Float16(
                            x * DeviceNumbers<Float>(a.norm)[k] * streamScale)
                    }
                    DeviceNumbers<Float>(a.squares)[m] = sum
                }
            },
            emulate("silu_multiply_f16", crumb_silu_multiply_args.self) { a, grid in
                precondition(isAligned(a.gate_up, a.order, a.output) && a.features % 4 == 0 && a.positions % 8 == 0)
                let (features, positions) = (Int(a.features), Int(a.positions))
                for m in 0..<grid.x {
                    for i in 0..<positions {
                        let n = a.order == 0 ? i : Int(DeviceNumbers<UInt16>(a.order)[i])
                        guard n != Int(CRUMB_PADDING_CHANNEL) else {
                            DeviceNumbers<Float16>(a.output)[m * positions + i] = 0
                            continue
                        }
                        var gate = number(a.gate_up, m * 2 * features + n, a.half_input)
                        var up = number(a.gate_up, m * 2 * features + features + n, a.half_input)
                        if a.bias != 0 {
                            gate += DeviceNumbers<Float>(a.bias)[n]
                            up += DeviceNumbers<Float>(a.bias)[features + n]
                        }
                        DeviceNumbers<Float16>(a.output)[m * positions + i] = Float16(gate / (1 + expf(-gate)) * up)
                    }
                }
            },
            emulate("residual_add", crumb_residual_add_args.self) { a, _ in
                for m in 0..<Int(a.tokens) {
                    for n in 0..<Int(a.columns) {
                        let index = m * Int(a.columns) + n
                        let bias = a.bias == 0 ? 0 : DeviceNumbers<Float>(a.bias)[n]
                        DeviceNumbers<Float>(a.stream)[index] += number(a.input, index, a.half_input) + bias
                    }
                }
            },
        ]
    }

    /// CRUMB_STREAM_SCALE, which Swift sees as a macro of a suffixed number.
    static let streamScale: Float = 0.015625

    static func emulate<Arguments>(
        _ name: String, _ type: Arguments.Type,
        _ body: @escaping (Arguments, (x: Int, y: Int, z: Int)) -> Void
    ) -> Emulation {
        Emulation(name: name, argumentBytes: MemoryLayout<Arguments>.stride) { body($0.load(), $0.grid) }
    }

    /// Whether wide loads may start at all of the addresses.
    static func isAligned(_ addresses: UInt64...) -> Bool { addresses.allSatisfy { $0 % 16 == 0 } }

    static func number(_ address: UInt64, _ index: Int, _ isHalf: UInt32) -> Float {
        isHalf != 0 ? Float(DeviceNumbers<Float16>(address)[index]) : DeviceNumbers<Float>(address)[index]
    }

    static func normFactor(_ input: UInt64, row: Int, columns: Int, epsilon: Float) -> Float {
        let sum = (0..<columns).reduce(Float(0)) { sum, k in
            let x = DeviceNumbers<Float>(input)[row * columns + k]
            return sum + x * x
        }
        return 1 / (sum / Float(columns) + epsilon).squareRoot()
    }

    static func tableNumber(_ table: UInt64, _ scales: UInt64, _ storage: Int, _ index: Int) -> Float {
        switch storage {
        case Int(CRUMB_TABLE_F32): return DeviceNumbers<Float>(table)[index]
        case Int(CRUMB_TABLE_F16): return Float(DeviceNumbers<Float16>(table)[index])
        case Int(CRUMB_TABLE_BF16):
            return Float(bitPattern: UInt32(DeviceNumbers<UInt16>(table)[index]) << 16)
        case Int(CRUMB_TABLE_Q8):
            return Float(DeviceNumbers<Float16>(scales)[index / 32]) * Float(DeviceNumbers<Int8>(table)[index])
        default:
            let code = Int(DeviceNumbers<UInt8>(table)[index / 2] >> UInt8(index % 2 * 4) & 15) - 8
            return Float(DeviceNumbers<Float16>(scales)[index / 32]) * Float(code)
        }
    }
}
