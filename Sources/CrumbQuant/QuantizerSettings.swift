import CrumbABI

/// How codes are chosen once scales, 4-bit channels and outliers are.
package enum QuantizationMethod: String, Sendable, CaseIterable {
    /// Every weight to its nearest code.
    case rtn
    /// Error feedback: each channel makes up for the rounding of those before it (GPTQ, in the form of LDLQ).
    case gptq
    /// Error feedback, then passes of coordinate descent over codes, scales and outliers.
    case full
}

/// Which input channels come first, and so have 4 bits.
package enum ChannelPreference: String, Sendable, CaseIterable {
    /// Those whose activations are largest: the diagonal of H.
    case sensitivity
    /// Those with the largest weight of any row, as a choice by ranges would have it.
    case range
    /// Those with the largest product of both, activations x largest weight^2: ranges weighted by the Hessian.
    case weightedRange = "weighted-range"
    /// Whole runs of 32 neighbours, the one with the largest activations first: what a layout without an order of
    /// channels could do.
    case blocks
    /// The first ones as the source has them.
    case source

    /// Keys of the channels, larger ones first, from the diagonal of H and the matrices that share the input.
    ///
    /// - Parameter largest: The largest |weight| of each channel; asked for only where it is looked at.
    package func keys(_ meanSquares: [Float], largest: () -> [Float]) -> [Float] {
        switch self {
        case .sensitivity: return meanSquares
        case .range: return largest()
        case .weightedRange: return zip(meanSquares, largest()).map { $0 * $1 * $1 }
        case .blocks:
            let group = Int(CRUMB_GROUP)
            return meanSquares.indices.map { channel in
                let block = meanSquares[channel / group * group..<min((channel / group + 1) * group, meanSquares.count)]
                return block.reduce(0, +) / Float(block.count)
            }
        case .source: return meanSquares.indices.map { -Float($0) }
        }
    }
}

/// What the quantizer of one matrix may vary; the shape (4-bit channels, outliers) comes with the matrix.
package struct QuantizerSettings: Sendable {
    package var method: QuantizationMethod
    /// Added to the diagonal of H, as a share of its mean: keeps the factorization stable and the codes from fitting
    /// the calibration text's noise.
    package var damping: Float
    /// What is taken off H beside its diagonal, as a share: keeps channels that are large for a few tokens only from
    /// making up for each other's errors in a way that fits those tokens alone. Qwen2.5-Coder-1.5B with only its down
    /// matrices quantized: ratio of perplexity 1.56 with none, 1.10 with 0.01, 1.08 with 0.05.
    package var shrinkage: Float
    /// Passes of coordinate descent; `full` only.
    package var passes: Int
    package var preference: ChannelPreference
    package var storage: StorageVariant

    /// Scales tried for a group, as shares of the one that just covers its largest weight: from none clipped to most.
    package static let scaleTrials: [Float] = (0..<Int(CRUMB_QUANTIZE_TRIALS)).map { exponent in
        1.08 * Float((0..<exponent).reduce(1.0) { value, _ in value * 0.94 })
    }

    package init(
        method: QuantizationMethod = .full, damping: Float = 0.01, shrinkage: Float = 0.05, passes: Int = 4,
        preference: ChannelPreference = .sensitivity, storage: StorageVariant = StorageVariant()
    ) {
        self.preference = preference
        self.storage = storage
        self.method = method
        self.damping = damping
        self.shrinkage = shrinkage
        self.passes = passes
    }
}

/// Why a matrix cannot be quantized, in one sentence.
package struct QuantizationError: Error, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
