import CrumbJSON
import Glibc

/// `rope_scaling` of `config.json`, from the metadata and, where there is one, the tensor of frequency factors.
struct RopeScaling {
    /// Null where positions are not scaled.
    let value: JSONValue

    /// Linear scaling, or none.
    ///
    /// - Throws: `FormatError` for every other kind of scaling.
    init(_ metadata: GGUFMetadata, prefix: String) throws(FormatError) {
        let kind = try metadata.optionalString("\(prefix).rope.scaling.type")
        var factor = try metadata.optionalFloat("\(prefix).rope.scaling.factor", in: 1e-6...1e6)
        if factor == nil { factor = try metadata.optionalFloat("\(prefix).rope.scale_linear", in: 1e-6...1e6) }
        switch kind ?? (factor == nil ? "none" : "linear") {
        case "none":
            value = nil
        case "linear":
            value = factor.map { $0 == 1 ? nil : ["rope_type": "linear", "factor": JSONValue($0)] } ?? nil
        case let other:
            throw FormatError(
                path: metadata.path,
                reason: "RoPE scaling of the type \"\(other.prefix(40))\" is not supported; known are none, linear and"
                    + " Llama 3's frequency factors")
        }
    }

    /// Llama 3's scaling from its factors: GGUF stores only what each frequency is divided by. Where published
    /// parameters give the same factors, they are written as Hugging Face does; otherwise the factors stand as they
    /// are under `crumb_frequency_factors`.
    ///
    /// - Parameter factors: head size / 2 divisors, finite and positive.
    init(factors: [Float], theta: Double) {
        let largest = Double(factors.max() ?? 1)
        for original in [8192, 4096, 16384, 32768] where largest == largest.rounded() {
            let expected = Self.llama3Factors(
                count: factors.count, theta: theta, factor: largest, low: 1, high: 4, original: Double(original))
            if zip(factors, expected).allSatisfy({ abs(Double($0) - $1) <= 1e-5 * $1 }) {
                value = [
                    "rope_type": "llama3", "factor": JSONValue(largest), "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": JSONValue(original),
                ]
                return
            }
        }
        value = ["rope_type": "crumb_frequency_factors", "factors": .array(factors.map { JSONValue(Double($0)) })]
    }

    /// The divisors of Llama 3.1's scaling: 1 for short waves, `factor` for long ones, and between the two a blend that
    /// is linear in the number of waves within the original context.
    static func llama3Factors(
        count: Int, theta: Double, factor: Double, low: Double, high: Double, original: Double
    ) -> [Double] {
        (0..<count).map { index in
            let waveLength = 2 * Double.pi * pow(theta, Double(index) / Double(count))
            let waves = original / waveLength
            if waves > high { return 1 }
            if waves < low { return factor }
            let smooth = (waves - low) / (high - low)
            return 1 / ((1 - smooth) / factor + smooth)
        }
    }
}
