import CrumbReport

/// Made-up but plausible figures of a model of 30 layers.
enum Samples {
    static let kinds = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

    /// Numbers between 0 and 1 that are the same each time (a linear congruence; its constants are Knuth's MMIX).
    struct Noise {
        private var state: UInt64

        init(_ seed: UInt64) { state = seed }

        mutating func next() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) * 0x1p-53
        }
    }

    static func plot() -> InspectionPlot {
        var noise = Noise(7)
        let ranges = kinds.map { kind in
            var ranges = GroupRanges(kind: kind)
            for _ in 0..<4000 {
                let bell = (0..<6).reduce(0.0) { sum, _ in sum + noise.next() } / 6
                let value = Float(2 + 5 * bell)
                if value > 5 { ranges.wide.add(value * 1.3) } else { ranges.narrow.add(value) }
            }
            return ranges
        }
        let shares = LayerMap(
            kinds: kinds, values: kinds.map { _ in (0..<30).map { _ in noise.next() * noise.next() } })
        let channels = [
            ("q_proj, k_proj, v_proj", 576), ("o_proj", 576), ("gate_proj, up_proj", 576), ("down_proj", 1536),
        ]
        let maps = channels.map { title, count in
            var map = ChannelMap(title: title, channels: count)
            let loud = (0..<count).map { _ in noise.next() < 0.15 }
            for _ in 0..<30 {
                map.append(
                    fourBit: loud.map { noise.next() < ($0 ? 0.9 : 0.15) ? 1 : 0 },
                    outliers: loud.map { $0 ? 0 : noise.next() < 0.2 ? Int(noise.next() * 6) : 0 })
            }
            return map
        }
        return InspectionPlot(
            title: "SmolLM2-135M-Instruct", subtitle: "llama, 30 layers, 2.77 bits per weight", ranges: ranges,
            fourBitShares: shares, channels: maps)
    }

    static func page() -> QuantizationPage {
        var noise = Noise(3)
        let errors = LayerMap(
            kinds: kinds,
            values: kinds.map { _ in (0..<30).map { layer in 0.02 + 0.002 * Double(layer) + 0.03 * noise.next() } })
        let bits = LayerMap(kinds: kinds, values: kinds.map { _ in (0..<30).map { _ in 2.3 + 2 * noise.next() } })
        return QuantizationPage(
            title: "SmolLM2-135M-Instruct",
            headline: [
                .init("bits per weight", "2.77"), .init("of 269 MB in 16 bits", "71 MiB"),
                .init("perplexity, before 15.17", "23.97"), .init("on 2 threads", "2 min 03 s"),
            ],
            options: [.init("--bits", "2.85"), .init("--method", "full"), .init("--seed", "0")],
            details: [.init("linear weights", "106,168,320"), .init("peak memory", "1.21 GiB")], errors: errors,
            bits: bits, ranges: bands(), channels: plot().channels)
    }

    static func bands() -> RangeBands {
        var noise = Noise(5)
        return RangeBands(
            kinds: kinds.map { kind in
                let layers = (0..<30).map { _ in
                    let median = 0.5 + noise.next()
                    return [0.4, 0.8, 1, 1.3, 2].map { $0 * median }
                }
                return RangeBands.Kind(name: kind, layers: layers, largest: 9.5)
            })
    }
}
