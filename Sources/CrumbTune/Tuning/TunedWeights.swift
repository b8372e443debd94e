package import CrumbModel
package import CrumbPacked

/// The numbers of a tuned model.
package struct TunedWeights: Sendable {
    package struct Layer: Sendable {
        package var inputNorm: [Float]
        package var postAttentionNorm: [Float]
        /// Of q, k and v, where the model has them.
        package var biases: [Projection: [Float]]
        package var matrices: [Projection: PackedMatrix]

        package init(
            inputNorm: [Float], postAttentionNorm: [Float], biases: [Projection: [Float]],
            matrices: [Projection: PackedMatrix]
        ) {
            self.inputNorm = inputNorm
            self.postAttentionNorm = postAttentionNorm
            self.biases = biases
            self.matrices = matrices
        }
    }

    package var layers: [Layer]
    package var finalNorm: [Float]

    package init(layers: [Layer], finalNorm: [Float]) {
        self.layers = layers
        self.finalNorm = finalNorm
    }
}
