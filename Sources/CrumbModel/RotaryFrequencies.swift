extension ModelConfiguration {
    /// The angle per position of each pair of dimensions of a head, headDim / 2 numbers, for a device that makes its
    /// own cosines and sines.
    package var rotaryFrequencies: [Float] { ropeScaling.frequencies(theta: ropeTheta, headDim: headDim) }
}
