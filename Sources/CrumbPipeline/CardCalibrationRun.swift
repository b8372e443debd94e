import CrumbEngine
import CrumbModel
import CrumbPacked
import CrumbQuant
import CrumbThreads
import CrumbTune

/// Calibration on a GPU; what comes from there is packed on the CPU, a thread a matrix.
final class CardCalibrationRun: LayerCalibration {
    private let calibration: CardCalibration
    private let weights: DecoderWeights
    private let pool: ThreadPool

    /// - Throws: `TuneError`, `CUDAError` where the model or the text does not fit the card.
    init(
        _ source: LoadedModel, sequences: [[Int32]], plan: BudgetPlan, settings: QuantizerSettings, survey: LossSurvey?,
        card: Card
    ) throws {
        guard let blas = card.blas else {
            throw PipelineError("quantizing on a GPU needs cuBLAS: \(card.blasProblem.map { "\($0)" } ?? "not found")")
        }
        weights = source.forward.weights
        pool = source.pool
        calibration = try CardCalibration(
            weights, source.configuration, sequences: sequences, shapes: plan.shapes, settings: settings,
            survey: survey, library: card.library, blas: blas, pool: source.pool)
    }

    func quantizeLayer(_ layer: Int, done: (Projection) throws -> Void) throws -> [QuantizedLayerMatrix] {
        let results = try calibration.quantizeLayer(layer, done: done)
        return try pool.map(count: results.count) { index in
            let result = results[index]
            let name = weights.layers[layer][result.projection].name
            switch result.form {
            case .packed(let matrix):
                return try QuantizedLayerMatrix(
                    result.projection, name: name, matrix, order: result.order, error: result.error)
            case .dense(let weights, let shape):
                return QuantizedLayerMatrix(
                    result.projection, name: name, weights: weights, shape: shape, error: result.error)
            }
        }
    }

    func pass(_ layer: Int, weights: [Projection: PackedMatrix]) throws {
        try calibration.pass(layer, weights: weights)
    }
}
