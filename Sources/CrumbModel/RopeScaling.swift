import Glibc

/// How the rotary frequencies of a checkpoint are stretched for long contexts.
package enum RopeScaling: Sendable, Equatable {
    case none
    /// Every frequency divided by `factor`.
    case linear(factor: Double)
    /// Llama 3.1's: long wavelengths divided by `factor`, short ones kept, a ramp between them. Wavelengths are measured
    /// against `originalContext` positions.
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
    /// One divisor for each pair of dimensions, as GGUF files store what `llama3` computes.
    case frequencyFactors([Double])

    /// `rope_type` names that are understood.
    static let knownTypes = ["default", "linear", "llama3", "crumb_frequency_factors"]

    /// Reads `rope_scaling` or, as newer files write it, `rope_parameters`, which holds `rope_theta` too.
    ///
    /// - Throws: `ModelError` for an unknown kind (which would give wrong results at every position) or a bad number.
    static func read(
        _ configuration: ConfigurationReader, headDim: Int, maxPositions: Int
    ) throws(ModelError) -> (scaling: RopeScaling, theta: Double) {
        let parameters = try configuration.nested("rope_parameters")
        let thetaRange = 1.0...1e15
        let theta = try (parameters?.value("rope_theta") != nil ? parameters ?? configuration : configuration)
            .number("rope_theta", in: thetaRange, default: 10000)
        try refusePartial(configuration)
        let scalings = try configuration.nested("rope_scaling")
        guard let scaling = scalings ?? parameters else { return (.none, theta) }
        let factors = 0.0...1e6
        try refusePartial(scaling)
        let newName = try scaling.string("rope_type")
        let oldName = try scaling.string("type")
        let type = newName ?? oldName ?? "default"
        switch type {
        case "default":
            return (.none, theta)
        case "linear":
            return (.linear(factor: try scaling.number("factor", in: 1e-3...1e6)), theta)
        case "llama3":
            let low = try scaling.number("low_freq_factor", in: 1e-3...1e6)
            let high = try scaling.number("high_freq_factor", in: 1e-3...1e6)
            guard low < high else {
                throw scaling.error("high_freq_factor", "is \(high), but must be above low_freq_factor, \(low)")
            }
            let original = try scaling.integer(
                "original_max_position_embeddings", in: 1...(1 << 26), default: maxPositions)
            let factor = try scaling.number("factor", in: 1e-3...1e6)
            return (
                .llama3(
                    factor: factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext: original),
                theta
            )
        case "crumb_frequency_factors":
            let divisors = try scaling.numbers("factors", in: factors) ?? []
            guard divisors.count == headDim / 2, divisors.allSatisfy({ $0 > 0 }) else {
                throw scaling.error(
                    "factors", "holds \(divisors.count) numbers, but \(headDim / 2) positive ones belong there")
            }
            return (.frequencyFactors(divisors), theta)
        default:
            throw scaling.error(
                "rope_type",
                "is \"\(type)\", which is not supported; known are \(Self.knownTypes.joined(separator: ", "))")
        }
    }

    private static func refusePartial(_ settings: ConfigurationReader) throws(ModelError) {
        if try settings.number("partial_rotary_factor", in: 0...1, default: 1) != 1 {
            throw settings.error("partial_rotary_factor", "is not 1: partly rotated heads are not supported")
        }
    }

    /// The angle per position of each pair of dimensions, headDim / 2 numbers.
    ///
    /// In fp32 throughout, as models are trained and as Hugging Face's `modeling_rope_utils` computes it.
    func frequencies(theta: Double, headDim: Int) -> [Float] {
        (0..<headDim / 2).map { pair in
            let plain = 1 / powf(Float(theta), Float(2 * pair) / Float(headDim))
            switch self {
            case .none: return plain
            case .linear(let factor): return plain / Float(factor)
            case .frequencyFactors(let divisors): return plain / Float(divisors[pair])
            case .llama3(let factor, let low, let high, let original):
                let wavelength = 2 * Float.pi / plain
                if wavelength < Float(Double(original) / high) { return plain }
                if wavelength > Float(Double(original) / low) { return plain / Float(factor) }
                let smooth = (Float(original) / wavelength - Float(low)) / Float(high - low)
                return (1 - smooth) * plain / Float(factor) + smooth * plain
            }
        }
    }
}
