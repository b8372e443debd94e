/// How codes are chosen once scales, 4-bit channels and outliers are.
package enum QuantizationMethod: String, Sendable, CaseIterable {
    /// Every weight to its nearest code.
    case rtn
    /// Error feedback: each channel makes up for the rounding of those before it (GPTQ, in the form of LDLQ).
    case gptq
    /// Error feedback, then passes of coordinate descent over codes, scales and outliers.
    case full
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

    package init(
        method: QuantizationMethod = .full, damping: Float = 0.01, shrinkage: Float = 0.05, passes: Int = 4
    ) {
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
