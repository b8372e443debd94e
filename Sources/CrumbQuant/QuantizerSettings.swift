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
    /// Passes of coordinate descent; `full` only.
    package var passes: Int

    package init(method: QuantizationMethod = .full, damping: Float = 0.01, passes: Int = 4) {
        self.method = method
        self.damping = damping
        self.passes = passes
    }
}

/// Why a matrix cannot be quantized, in one sentence.
package struct QuantizationError: Error, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
