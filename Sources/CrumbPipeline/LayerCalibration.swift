import CrumbABI
import CrumbModel
import CrumbPacked
import CrumbQuant
import CrumbTensor

/// A quantized matrix with what rounding did to it.
struct QuantizedLayerMatrix {
    let projection: Projection
    let packed: PackedMatrix
    let error: MatrixError

    /// Packs a matrix.
    ///
    /// - Parameter name: The projection's, without `.weight`.
    init(
        _ projection: Projection, name: String, _ matrix: QuantizedMatrix, order: ChannelOrder, error: MatrixError
    ) throws(PackedError) {
        self.projection = projection
        packed = try PackedMatrix(matrix, name: name + ".weight", order: order)
        self.error = error
    }
}

/// What goes through a model layer by layer, quantizing each on the outputs of those before.
protocol LayerCalibration {
    /// Quantizes the matrices of a layer and carries the calibration text through the result.
    ///
    /// - Parameter done: Called after each matrix; may throw to stop.
    func quantizeLayer(_ layer: Int, done: (Projection) throws -> Void) throws -> [QuantizedLayerMatrix]

    /// Carries the text through a layer whose quantized weights are known: a resumed run.
    func pass(_ layer: Int, weights: [Projection: PackedMatrix]) throws
}
