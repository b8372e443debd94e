import CrumbABI
import CrumbBLAS
import CrumbFormats
import CrumbModel
import CrumbPacked
import CrumbQuant
import CrumbTensor
import CrumbThreads

/// Goes through a model layer by layer: collects the inputs of each matrix on the outputs of what is quantized already,
/// has it quantized, and carries the calibration text through.
///
/// Memory: the residual stream and the attention outputs of all tokens, and one input's statistics and factor.
final class CalibrationRun: LayerCalibration {
    private let forward: DecoderForward
    private let sequences: [[Int32]]
    private let quantizer: MatrixQuantizer
    private let plan: BudgetPlan
    private let names = TensorNames()
    private let hidden: FloatMatrix
    private let attended: FloatMatrix
    private let buffers: [FloatBuffer]
    /// Tokens that go through a norm and the matrices after it together.
    static let block = 2048
    private let normed = FloatBuffer()
    private let activation = FloatBuffer()
    private let cache: KVCache
    private var pool: ThreadPool { quantizer.pool }
    private var blas: BLAS { quantizer.blas }

    /// - Parameters:
    ///   - forward: The source model; its layers are replaced by their quantized selves as they are done.
    ///   - sequences: Calibration tokens, in pieces that do not see each other.
    /// - Throws: `ModelError` where memory for a sequence's keys and values cannot be had.
    init(
        _ forward: DecoderForward, sequences: [[Int32]], plan: BudgetPlan, quantizer: MatrixQuantizer
    ) throws {
        self.forward = forward
        self.sequences = sequences
        self.plan = plan
        self.quantizer = quantizer
        let tokens = sequences.reduce(0) { $0 + $1.count }
        let configuration = forward.configuration
        buffers = [FloatBuffer(), FloatBuffer()]
        hidden = buffers[0].matrix(rows: tokens, columns: configuration.hiddenSize)
        attended = buffers[1].matrix(rows: tokens, columns: configuration.queryFeatures)
        cache = try KVCache(configuration, capacity: sequences.map(\.count).max() ?? 1)
        try forEachSequence { rows, sequence in try forward.embed(sequence, into: hidden.slice(rows: rows)) }
    }

    /// Rows of several pieces at a time, for what does not care where a piece begins: weights are expanded once for all.
    private func forEachBlock(_ body: (Range<Int>) throws -> Void) rethrows {
        for start in stride(from: 0, to: hidden.rows, by: Self.block) {
            try body(start..<min(start + Self.block, hidden.rows))
        }
    }

    private func forEachSequence(_ body: (Range<Int>, [Int32]) throws -> Void) rethrows {
        var start = 0
        for sequence in sequences {
            try body(start..<start + sequence.count, sequence)
            start += sequence.count
        }
    }

    /// Quantizes the matrices of layer `layer` and carries the text through the result.
    ///
    /// - Parameter done: Called after each matrix; may throw to stop.
    /// - Throws: `QuantizationError` or `PackedError`, with the matrix's name put before it as a `PipelineError`.
    func quantizeLayer(
        _ layer: Int, done: (Projection) throws -> Void
    ) throws -> [QuantizedLayerMatrix] {
        var result: [QuantizedLayerMatrix] = []
        for role in InputRole.allCases {
            let statistics = InputStatistics(channels: forward.configuration.shape(of: role.projections[0]).columns)
            try collect(role, layer) { input in
                statistics.add(input.base, count: input.rows, blas: blas, pool: pool)
            }
            statistics.finish()
            result += try quantize(role.projections, layer, statistics, done: done)
            finish(role, layer)
        }
        return result
    }

    /// Carries the text through a layer whose quantized weights are known: a resumed run.
    func pass(_ layer: Int, weights: [Projection: PackedMatrix]) throws {
        for (projection, packed) in weights { replace(projection, layer, .packed(packed)) }
        for role in InputRole.allCases {
            if role == .attentionOutput { try collect(role, layer) { _ in } }
            finish(role, layer)
        }
    }

    /// Computes the inputs of matrices, a part of the tokens at a time.
    private func collect(_ role: InputRole, _ layer: Int, _ body: (FloatMatrix) -> Void) throws {
        switch role {
        case .queryKeyValue:
            forEachBlock { rows in
                let norm = norm(rows)
                forward.attentionInput(layer, hidden.slice(rows: rows), into: norm)
                body(norm)
            }
        case .attentionOutput:
            try forEachSequence { rows, sequence in
                let norm = norm(rows)
                forward.attentionInput(layer, hidden.slice(rows: rows), into: norm)
                cache.truncate(to: 0)
                let batch = try Batch(sequence, cache: cache, logits: .none)
                let output = attended.slice(rows: rows)
                forward.attentionOutput(layer, norm, batch, into: output)
                body(output)
            }
        case .gateUp:
            forEachBlock { rows in
                let norm = norm(rows)
                forward.mlpInput(layer, hidden.slice(rows: rows), into: norm)
                body(norm)
            }
        case .down:
            forEachBlock { rows in body(mlpActivation(layer, rows)) }
        }
    }

    private func norm(_ rows: Range<Int>) -> FloatMatrix {
        normed.matrix(rows: rows.count, columns: forward.configuration.hiddenSize)
    }

    private func mlpActivation(_ layer: Int, _ rows: Range<Int>) -> FloatMatrix {
        let output = activation.matrix(rows: rows.count, columns: forward.configuration.intermediateSize)
        let norm = norm(rows)
        forward.mlpInput(layer, hidden.slice(rows: rows), into: norm)
        forward.mlpActivation(layer, norm, into: output)
        return output
    }

    /// Adds what o or down makes of its input to the residual stream, once they are quantized.
    private func finish(_ role: InputRole, _ layer: Int) {
        switch role {
        case .queryKeyValue, .gateUp: break
        case .attentionOutput:
            forEachBlock { rows in
                forward.addAttentionProjection(layer, attended.slice(rows: rows), to: hidden.slice(rows: rows))
            }
        case .down:
            forEachBlock { rows in
                forward.addMLPProjection(layer, mlpActivation(layer, rows), to: hidden.slice(rows: rows))
            }
        }
    }

    private func quantize(
        _ projections: [Projection], _ layer: Int, _ statistics: InputStatistics, done: (Projection) throws -> Void
    ) throws -> [QuantizedLayerMatrix] {
        guard let shape = plan.shapes[layer][projections[0]] else { return [] }
        let keys = quantizer.settings.preference.keys(statistics.meanSquares) {
            forward.weights.layers[layer].largestWeights(projections, pool: pool)
        }
        let order = ChannelOrder.sorted(by: keys, shape: shape)
        let name = forward.weights.layers[layer][projections[0]].name
        let factor: ErrorFactor
        do {
            factor = try ErrorFactor(
                statistics, order: order, damping: quantizer.settings.damping,
                shrinkage: quantizer.settings.shrinkage, blas: blas)
        } catch {
            throw PipelineError("\(name): \(error)")
        }
        let sources = projections.compactMap { projection in
            plan.shapes[layer][projection].map { shape in
                MatrixQuantizer.Source(
                    name: names.weight(layer, projection), weights: source(forward.weights.layers[layer][projection]),
                    shape: shape)
            }
        }
        let results: [QuantizedLayerMatrix]
        do {
            let names = projections.map { forward.weights.layers[layer][$0].name }
            if quantizer.settings.storage.isPacked {
                results = try quantizer.quantize(sources, order: order, factor: factor).enumerated().map {
                    try QuantizedLayerMatrix(
                        projections[$0], name: names[$0], $1.matrix, order: order, error: $1.error)
                }
            } else {
                results = try quantizer.quantizeDense(sources, order: order, factor: factor).enumerated().map {
                    QuantizedLayerMatrix(
                        projections[$0], name: names[$0], weights: $1.weights, shape: sources[$0].shape,
                        error: $1.error)
                }
            }
        } catch {
            throw PipelineError("\(error)")
        }
        for result in results {
            replace(result.projection, layer, result.storage)
            try done(result.projection)
        }
        return results
    }

    /// The source's weights as fp32, (N, K).
    private func source(_ weight: LinearWeight) -> [Float] {
        guard case .dense(let view) = weight.storage else { preconditionFailure("\(weight.name) is quantized already") }
        return [Float](unsafeUninitializedCapacity: view.count) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            pool.run(count: view.rows) { n in
                Dequantizer.dequantizeRow(
                    view, n,
                    into: UnsafeMutableBufferPointer(start: base + n * view.columns, count: view.columns))
            }
            count = view.count
        }
    }

    private func replace(_ projection: Projection, _ layer: Int, _ storage: LinearWeight.Storage) {
        let old = forward.weights.layers[layer][projection]
        forward.weights.layers[layer][projection] = LinearWeight(
            name: old.name, storage: storage, bias: old.bias)
    }
}
