package import CrumbABI
package import CrumbCUDA
package import CrumbModel
package import CrumbPacked
package import CrumbQuant
package import CrumbThreads

/// Goes through a model layer by layer on the card, as `CalibrationRun` does on the CPU: collects the inputs of each matrix
/// on the outputs of what is quantized already, quantizes it, and carries the text through the result. In fp32.
///
/// On the card: the residual stream, attention outputs and activations of all tokens, one layer's weights, one input's
/// statistics and factor, one matrix in work.
package final class CardCalibration {
    /// A matrix that is done.
    package struct Result: Sendable {
        package enum Form: Sendable {
            case packed(QuantizedMatrix)
            /// (N, K) in the source's order of channels: a variant that the packed layout does not hold.
            case dense([Float], crumb_packed_shape)
        }

        package let projection: Projection
        package let form: Form
        package let order: ChannelOrder
        package let error: MatrixError
    }

    private let weights: DecoderWeights
    private let configuration: ModelConfiguration
    private let shapes: [[Projection: crumb_packed_shape]]
    private let settings: QuantizerSettings
    private let survey: LossSurvey?
    private let pass: TunePass
    private let queue: QuantizeQueue
    private let upload: ElementUpload
    /// The dense weights of the layer in work.
    private let block: TuneBlock
    private let blockMemory: DeviceBuffer<UInt8>
    private let hidden, attended, activation: DeviceBuffer<Float>
    private let scratch, tokenWeights: DeviceBuffer<Float>
    private let arena: DeviceBuffer<UInt8>
    /// Passes of `pass.sizes.tokens` tokens that all of the text takes.
    private let parts: Int

    /// Tokens of a pass at most.
    private static let passTokens = 8192

    /// Whether there are kernels for a card.
    package static func runs(on library: KernelLibrary) -> Bool {
        library.has("quantize_descend") && library.has("tune_norm_f32")
    }

    /// - Parameters:
    ///   - weights: Of the source model.
    ///   - sequences: Calibration tokens, in pieces of one length that do not see each other.
    ///   - shapes: Of every matrix, by layer.
    ///   - survey: Of the same sequences: what each token counts for. Without it, their size says that.
    /// - Throws: `TuneError` for models that the operators do not cover; `CUDAError` where the card is too small.
    package init(
        _ weights: DecoderWeights, _ configuration: ModelConfiguration, sequences: [[Int32]],
        shapes: [[Projection: crumb_packed_shape]], settings: QuantizerSettings, survey: LossSurvey? = nil,
        library: KernelLibrary, blas: CuBLASTable, pool: ThreadPool
    ) throws {
        let sizes = try TuneSizes(configuration, sequences: sequences, within: Self.passTokens)
        let device = library.device
        let tokens = sequences.count * sizes.length
        let largest = shapes.flatMap(\.values).map(CardMatrix.byteCount).max() ?? 0
        let blockBytes = SlabLayout.byteCount { TuneBlock(configuration, elementBytes: 4, in: &$0) }
        let widest = max(configuration.intermediateSize, configuration.hiddenSize, configuration.queryFeatures)
        try device.require(
            bytes: largest + 4 * tokens * (sizes.hidden + sizes.queryFeatures + sizes.intermediate)
                + blockBytes + 4 * 4 * widest * widest
                + TuneWorkspace(sizes, elementBytes: 4, .forward).byteCount,
            for: "quantizing with \(tokens) tokens of calibration text")
        self.weights = weights
        self.configuration = configuration
        self.shapes = shapes
        self.settings = settings
        self.survey = survey
        pass = try TunePass(
            configuration, sizes: sizes, element: .float, library: library, blas: blas, room: .forward)
        queue = QuantizeQueue(pass: pass, kernels: try QuantizeKernels(library))
        upload = ElementUpload(element: .float, pool: pool)
        blockMemory = try DeviceBuffer(count: blockBytes, on: device, for: "a layer's weights")
        var layout = SlabLayout(base: blockMemory.address)
        block = TuneBlock(configuration, elementBytes: 4, in: &layout)
        hidden = try DeviceBuffer(count: tokens * sizes.hidden, on: device, for: "the residual stream")
        attended = try DeviceBuffer(count: tokens * sizes.queryFeatures, on: device, for: "attention outputs")
        activation = try DeviceBuffer(count: tokens * sizes.intermediate, on: device, for: "activations")
        scratch = try DeviceBuffer(count: sizes.tokens * widest, on: device, for: "calibration")
        tokenWeights = try DeviceBuffer(count: tokens, on: device, for: "what tokens count for")
        arena = try DeviceBuffer(count: largest, on: device, for: "a matrix in work")
        parts = sequences.count / sizes.texts
        try embed(sequences.flatMap { $0 })
    }

    private func embed(_ tokens: [Int32]) throws(CUDAError) {
        let count = pass.sizes.tokens
        for part in 0..<parts {
            let rows = tokens[part * count..<(part + 1) * count].map { Int($0) }
            try upload.send(weights.embedding, rows: rows, to: stream(part), in: pass.stream)
        }
    }

    /// Quantizes the matrices of layer `layer` and carries the text through the result.
    ///
    /// - Parameter done: Called after each matrix; may throw to stop.
    /// - Throws: `QuantizationError` for activations that are not finite; `CUDAError`.
    package func quantizeLayer(_ layer: Int, done: (Projection) throws -> Void) throws -> [Result] {
        try block.fill(weights.layers[layer], configuration, upload, in: pass.stream)
        return try InputRole.allCases.flatMap { role in
            let statistics = try CardStatistics(channels: inputs(of: role).channels, queue)
            if let survey {
                try ElementUpload.copy(
                    survey.tokenWeights(role, layer: layer), to: tokenWeights.address, in: pass.stream)
            }
            var part = 0
            try collect(role) { address throws(CUDAError) in
                let weights = survey == nil ? 0 : tokenWeights.address + UInt64(4 * part * pass.sizes.tokens)
                try statistics.add(address, weights: weights, count: pass.sizes.tokens, scratch: scratch.address)
                part += 1
            }
            let results = try quantize(role.projections, layer, statistics, done: done)
            try finish(role)
            return results
        }
    }

    /// Carries the text through a layer whose quantized weights are known: a resumed run.
    package func pass(_ layer: Int, weights packed: [Projection: PackedMatrix]) throws {
        var quantized = weights.layers[layer]
        for (projection, matrix) in packed {
            let old = quantized[projection]
            quantized[projection] = LinearWeight(name: old.name, storage: .packed(matrix), bias: old.bias)
        }
        try block.fill(quantized, configuration, upload, in: pass.stream)
        for role in InputRole.allCases {
            try collect(role) { _ in }
            try finish(role)
        }
    }

    private func quantize(
        _ projections: [Projection], _ layer: Int, _ statistics: CardStatistics, done: (Projection) throws -> Void
    ) throws -> [Result] {
        guard let shape = shapes[layer][projections[0]] else { return [] }
        let meanSquares = try statistics.meanSquares()
        let keys = settings.preference.keys(meanSquares) {
            weights.layers[layer].largestWeights(projections, pool: upload.pool)
        }
        let order = ChannelOrder.sorted(by: keys, shape: shape)
        let factor = try CardFactor(
            statistics, meanSquares: meanSquares, order: order, settings: settings, queue)
        return try projections.compactMap { projection in
            guard let shape = shapes[layer][projection] else { return nil }
            let matrix = CardMatrix(
                shape, storage: settings.storage, factor: factor, arena: arena.address, queue)
            let address = block.address(projection, configuration, elementBytes: 4)
            try matrix.quantize(address, settings)
            let packed = try matrix.store(dense: address)
            let result = Result(
                projection: projection,
                form: settings.storage.isPacked
                    ? .packed(packed)
                    : .dense(
                        try pass.stream.download(DeviceView<Float>(address: address, count: shape.n * shape.k)), shape),
                order: order, error: try matrix.error())
            try done(projection)
            return result
        }
    }
}

// MARK: inputs

extension CardCalibration {
    /// fp32 [M][hidden] of pass `part`.
    private func stream(_ part: Int) -> UInt64 {
        hidden.address + UInt64(4 * part * pass.sizes.tokens * pass.sizes.hidden)
    }

    /// Where the inputs of pass `part` are kept, and their width.
    private func inputs(of role: InputRole) -> (channels: Int, address: (Int) -> UInt64) {
        let tokens = pass.sizes.tokens
        func all(_ address: UInt64, _ channels: Int) -> (Int, (Int) -> UInt64) {
            (channels, { address + UInt64(4 * $0 * tokens * channels) })
        }
        return switch role {
        case .queryKeyValue: (pass.sizes.hidden, { [work = pass.work.block] _ in work.normed1 })
        case .attentionOutput: all(attended.address, pass.sizes.queryFeatures)
        case .gateUp: (pass.sizes.hidden, { [work = pass.work.block] _ in work.normed2 })
        case .down: all(activation.address, pass.sizes.intermediate)
        }
    }

    /// Computes the inputs of matrices, a pass at a time.
    private func collect(_ role: InputRole, _ body: (UInt64) throws(CUDAError) -> Void) throws(CUDAError) {
        let work = pass.work.block
        for part in 0..<parts {
            let address = inputs(of: role).address(part)
            switch role {
            case .queryKeyValue, .attentionOutput:
                try pass.norm(stream(part), weight: block.inputNorm, to: work.normed1, scales: work.scales1)
                if role == .attentionOutput {
                    try pass.attend(block)
                    let count = pass.sizes.tokens * pass.sizes.queryFeatures
                    try pass.stream.copy(
                        DeviceView<Float>(address: work.attended, count: count),
                        to: DeviceView(address: address, count: count))
                }
            case .gateUp, .down:
                try pass.norm(stream(part), weight: block.postNorm, to: work.normed2, scales: work.scales2)
                if role == .down { try pass.activate(block, to: address) }
            }
            try body(address)
        }
    }

    /// Adds what o or down makes of its input to the residual stream, once they are quantized.
    private func finish(_ role: InputRole) throws(CUDAError) {
        for part in 0..<parts {
            let address = inputs(of: role).address(part)
            switch role {
            case .queryKeyValue, .gateUp: break
            case .attentionOutput: try pass.addAttention(block, address, to: stream(part))
            case .down: try pass.addActivation(block, address, to: stream(part))
            }
        }
    }
}
