import CrumbABI
import CrumbModel
import CrumbPacked
import CrumbQuant
import CrumbTensor

/// A quantized matrix with what rounding did to it.
struct QuantizedLayerMatrix {
    let projection: Projection
    /// Packed; dense in fp16 where a variant of the storage does not fit the packed layout.
    let storage: LinearWeight.Storage
    let error: MatrixError

    /// Packs a matrix.
    ///
    /// - Parameter name: The projection's, without `.weight`.
    init(
        _ projection: Projection, name: String, _ matrix: QuantizedMatrix, order: ChannelOrder, error: MatrixError
    ) throws(PackedError) {
        self.projection = projection
        storage = .packed(try PackedMatrix(matrix, name: name + ".weight", order: order))
        self.error = error
    }

    /// Keeps the weights of a variant, (N, K) in the source's order of channels, as fp16.
    ///
    /// - Parameter name: The projection's, without `.weight`.
    init(_ projection: Projection, name: String, weights: [Float], shape: crumb_packed_shape, error: MatrixError) {
        self.projection = projection
        let buffer = HeapBuffer(byteCount: 2 * weights.count)
        for (index, weight) in weights.enumerated() {
            buffer.mutableBytes.storeBytes(
                of: halfBits(weight).littleEndian, toByteOffset: 2 * index, as: UInt16.self)
        }
        storage = .dense(buffer.tensor(name + ".weight", .f16, [shape.n, shape.k]))
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
