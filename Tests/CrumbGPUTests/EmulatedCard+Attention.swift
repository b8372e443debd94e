import CrumbABI
import Glibc

/// Rotation, cache and attention; the choice of tokens.
extension EmulatedCard {
    static var attention: [Emulation] {
        [
            emulate("rope_append_f16", crumb_rope_append_args.self) { a, grid in
                let head = Int(a.head_dim)
                for m in 0..<grid.x {
                    let position = Int(DeviceNumbers<Int32>(a.positions)[m])
                    let slot = a.slots == 0 ? Int(a.slot) : Int(DeviceNumbers<Int32>(a.slots)[m])
                    let rotated = rotate(
                        a.qkv, a.bias, a.frequencies, m, position, Int(a.heads), Int(a.cache.kv_heads), head,
                        a.half_input)
                    append(rotated, to: a.cache, slot: slot, position: position, heads: Int(a.heads), head: head)
                    for n in 0..<Int(a.heads) * head {
                        DeviceNumbers<Float16>(a.queries)[m * Int(a.heads) * head + n] = rotated[n]
                    }
                }
            }
        ]
            + [32, 64, 80, 96, 128].flatMap { head in
                [
                    emulate("attention_prefill_f16_d\(head)", crumb_attention_prefill_args.self) { a, _ in
                        let heads = Int(a.heads)
                        for m in 0..<Int(a.tokens) {
                            let query = (0..<heads * head).map {
                                DeviceNumbers<Float16>(a.queries)[m * heads * head + $0]
                            }
                            attend(
                                query, a.cache, slot: Int(a.slot), position: Int(a.start) + m, window: Int(a.window),
                                heads: heads, head: head, places: a.places, output: a.output
                            ) {
                                inputIndex(
                                    $0, Int(a.first_row) + m, positions: Int(a.output_stride),
                                    width: Int(a.output_width))
                            }
                        }
                    },
                    decode("attention_decode_f16_d\(head)", head),
                    decode("attention_decode_cluster_f16_d\(head)", head),
                ]
            }
    }

    private static func decode(_ name: String, _ head: Int) -> Emulation {
        emulate(name, crumb_attention_decode_args.self) { a, grid in
            let heads = Int(a.heads)
            precondition(!name.contains("cluster") || grid.x % Int(CRUMB_DECODE_CLUSTER) == 0)
            for m in 0..<grid.z {
                let position = Int(DeviceNumbers<Int32>(a.positions)[m])
                guard position >= 0 else { continue }
                precondition(position < Int(a.cache.capacity), "a position behind the cache")
                let slot = a.slots == 0 ? m : Int(DeviceNumbers<Int32>(a.slots)[m])
                let rotated = rotate(
                    a.qkv, a.bias, a.frequencies, m, position, heads, Int(a.cache.kv_heads), head, a.half_input)
                append(rotated, to: a.cache, slot: slot, position: position, heads: heads, head: head)
                attend(
                    rotated, a.cache, slot: slot, position: position, window: Int(a.window), heads: heads, head: head,
                    places: a.places, output: a.output
                ) {
                    inputIndex($0, Int(a.first_row) + m, positions: Int(a.output_stride), width: Int(a.output_width))
                }
            }
        }
    }

    /// q, k and v of a token as fp16; q times log2(e) / sqrt(D).
    private static func rotate(
        _ qkv: UInt64, _ bias: UInt64, _ frequencies: UInt64, _ m: Int, _ position: Int, _ heads: Int, _ kvHeads: Int,
        _ head: Int, _ isHalf: UInt32
    ) -> [Float16] {
        let all = heads + 2 * kvHeads
        var x = (0..<all * head).map { n in
            number(qkv, m * all * head + n, isHalf) + (bias == 0 ? 0 : DeviceNumbers<Float>(bias)[n])
        }
        for h in 0..<heads + kvHeads {
            for i in 0..<head / 2 {
                let angle = Float(position) * DeviceNumbers<Float>(frequencies)[i]
                let (a, b) = (x[h * head + i], x[h * head + i + head / 2])
                x[h * head + i] = a * cosf(angle) - b * sinf(angle)
                x[h * head + i + head / 2] = b * cosf(angle) + a * sinf(angle)
            }
        }
        let scale = 1.4426950408889634 / Float(head).squareRoot()
        return x.enumerated().map { Float16($0.offset < heads * head ? $0.element * scale : $0.element) }
    }

    private static func append(
        _ rotated: [Float16], to cache: crumb_kv_layer, slot: Int, position: Int, heads: Int, head: Int
    ) {
        let kvHeads = Int(cache.kv_heads)
        for h in 0..<kvHeads {
            let row = ((slot * kvHeads + h) * Int(cache.capacity) + position) * head
            for i in 0..<head {
                DeviceNumbers<Float16>(cache.keys)[row + i] = rotated[(heads + h) * head + i]
                DeviceNumbers<Float16>(cache.values)[row + i] = rotated[(heads + kvHeads + h) * head + i]
            }
        }
    }

    private static func attend(
        _ query: [Float16], _ cache: crumb_kv_layer, slot: Int, position: Int, window: Int, heads: Int, head: Int,
        places: UInt64, output: UInt64, at index: (Int) -> Int
    ) {
        let kvHeads = Int(cache.kv_heads)
        let first = window > 0 && window <= position ? position - window + 1 : 0
        for h in 0..<heads {
            let base = (slot * kvHeads + h / (heads / kvHeads)) * Int(cache.capacity)
            let scores = (first...position).map { p in
                (0..<head).reduce(Float(0)) { sum, i in
                    sum + Float(query[h * head + i]) * Float(DeviceNumbers<Float16>(cache.keys)[(base + p) * head + i])
                }
            }
            let highest = scores.max() ?? 0
            let weights = scores.map { exp2f($0 - highest) }
            let total = weights.reduce(0, +)
            for i in 0..<head {
                var sum: Float = 0
                for (offset, weight) in weights.enumerated() {
                    sum += weight * Float(DeviceNumbers<Float16>(cache.values)[(base + first + offset) * head + i])
                }
                let feature = h * head + i
                let place = places == 0 ? feature : Int(DeviceNumbers<UInt16>(places)[feature])
                DeviceNumbers<Float16>(output)[index(place)] = Float16(sum / total)
            }
        }
    }

    // MARK: choice

    static var choices: [Emulation] {
        [
            emulate("argmax_f32", crumb_argmax_args.self) { a, grid in
                for m in 0..<grid.y { publish(a.choice, m, mostLikely(a.logits, m, Int(a.vocabulary))) }
            },
            emulate("sample_f32", crumb_sample_args.self) { a, grid in
                for m in 0..<grid.x { sample(a, m) }
            },
        ]
    }

    static func mostLikely(_ logits: UInt64, _ row: Int, _ count: Int) -> Int {
        let row = (0..<count).map { DeviceNumbers<Float>(logits)[row * count + $0] }
        guard row.allSatisfy(\.isFinite) else { return Int(CRUMB_TOKEN_BROKEN) }
        return row.indices.reduce(0) { row[$1] > row[$0] ? $1 : $0 }
    }

    static func publish(_ choice: crumb_choice, _ m: Int, _ token: Int) {
        guard DeviceNumbers<Int32>(choice.positions)[m] >= 0 else { return }
        DeviceNumbers<UInt32>(choice.steps)[m] += 1
        DeviceNumbers<Int32>(choice.positions)[m] += 1
        DeviceNumbers<Int32>(choice.tokens)[m] = Int32(max(token, 0))
        let step = Int(DeviceNumbers<UInt32>(choice.steps)[m])
        DeviceNumbers<UInt64>(choice.ring)[(step - 1) % Int(choice.ring_steps) * Int(choice.tokens_count) + m] =
            UInt64(step) << 32 | UInt64(UInt32(bitPattern: Int32(token)))
    }
}
