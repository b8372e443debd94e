import CrumbABI
package import CrumbCUDA
package import CrumbModel
package import CrumbThreads

/// What errors of each matrix cost the model's loss in the end, as one backward pass of the source over the calibration text
/// tells (GuidedQuant, arXiv 2505.07004).
///
/// Labels are drawn from the model's own predictions. With G the gradient of -log q(labels) of a text by a matrix's
/// weights, errors E of the weights move the text's predictions by (sum of G E)^2 / 2 nats on average over labels (the Fisher
/// information); over errors that have nothing to do with each other that is the sum of G^2 E^2 / 2. With g the gradient
/// by one token's output, |g|^2 is what the token counts for in the matrix's statistics.
package struct LossSurvey: Sendable {
    /// |g|^2 of every token, by layer and projection.
    package let tokens: [[Projection: [Float]]]
    /// For every input channel, by layer and projection, what errors as large as its weights would cost, in nats a token:
    /// sum over texts and outputs of G^2 times sum over outputs of w^2, over twice the tokens and outputs.
    package let channelCosts: [[Projection: [Float]]]

    /// Tokens of a pass at most.
    private static let passTokens = 8192

    /// Runs the source over a text, forward and backward, in bf16.
    ///
    /// On the card: the source's weights (2 bytes each), each block's input for a pass, and all blocks' activations, or
    /// one's where they do not fit.
    ///
    /// - Parameter sequences: Of one length, which do not see each other.
    /// - Throws: `TuneError` for models that the operators do not cover; `CUDAError`, before the work starts, where the card
    ///   is too small.
    package init(
        _ weights: DecoderWeights, _ configuration: ModelConfiguration, sequences: [[Int32]], library: KernelLibrary,
        blas: CuBLASTable, pool: ThreadPool, element: CuBLAS.ElementType = .bfloat,
        progress: (Double) throws -> Void = { _ in }
    ) throws {
        let sizes = try TuneSizes(configuration, sequences: sequences, within: Self.passTokens)
        let room = try TuneRoom(
            sizes, element, beside: DenseModel.byteCount(configuration, element), on: library.device,
            for: "asking what each layer's errors cost in the end, which --guidance none does without,")
        let pass = try TunePass(
            configuration, sizes: sizes, element: element, library: library, blas: blas, room: room)
        let model = try DenseModel(configuration, element, on: library.device)
        try model.fill(from: weights, ElementUpload(element: element, pool: pool), in: pass.stream)
        let walk = try Walk(configuration, pass: pass, model: model)
        var tokens = Array(repeating: [Projection: [Float]](), count: sizes.layers)
        for first in stride(from: 0, to: sequences.count, by: sizes.texts) {
            for (layer, found) in try walk.squares(Array(sequences[first..<first + sizes.texts])).enumerated() {
                tokens[layer].merge(found) { $0 + $1 }
            }
            try progress(Double(first + sizes.texts) / Double(sequences.count))
        }
        self.tokens = tokens
        channelCosts = try walk.channelCosts(tokens: sequences.count * sizes.length)
    }
}

extension LossSurvey {
    /// What each token counts for in the statistics of an input: |g| of all the input's outputs, 1 on average.
    ///
    /// |g| and not |g|^2, which lets a few tokens say everything. SmolLM2-135M at 2.85 bits, 32,768 tokens, mean KL in nats
    /// on WikiText-2: tokens divided by their size^0.7 0.424, weights |g|^2 0.444, |g| 0.397; |g| and size^0.7 0.408.
    func tokenWeights(_ role: InputRole, layer: Int) -> [Float] {
        var sums = [Float](repeating: 0, count: tokens[layer][role.projections[0]]?.count ?? 0)
        for projection in role.projections {
            for (index, square) in (tokens[layer][projection] ?? []).enumerated() { sums[index] += square }
        }
        let sizes = sums.map { Double($0.squareRoot()) }
        let mean = sizes.reduce(0, +) / Double(max(sizes.count, 1))
        return sizes.map { mean > 0 ? Float($0 / mean) : 1 }
    }
}

/// The passes over the text, and what they add up on the card.
private final class Walk {
    let pass: TunePass
    let model: DenseModel
    /// fp32 [layers][projections][M]: |g|^2 in the last pass; and [layers][projections][K of the widest]: the sums of
    /// G^2 over outputs and passes. Labels are independent, so that a pass's G^2 is the sum of its texts' on average.
    private let tokens, channels: DeviceBuffer<Float>
    private let widest: Int
    private let configuration: ModelConfiguration
    private var random = RandomStream(seed: 0)

    init(_ configuration: ModelConfiguration, pass: TunePass, model: DenseModel) throws(CUDAError) {
        let s = pass.sizes
        let matrices = s.layers * Projection.allCases.count
        let device = pass.stream.device
        self.pass = pass
        self.model = model
        self.configuration = configuration
        widest = Projection.allCases.map { configuration.shape(of: $0).columns }.max() ?? 0
        tokens = try DeviceBuffer(count: matrices * s.tokens, on: device, for: "what tokens count for")
        channels = try DeviceBuffer(count: matrices * widest, on: device, for: "what channels count for")
        try pass.stream.fill(channels.view)
    }

    /// |g|^2 of every token of some texts, by layer.
    func squares(_ texts: [[Int32]]) throws(CUDAError) -> [[Projection: [Float]]] {
        let (sizes, work) = (pass.sizes, pass.work)
        try ElementUpload.copy(texts.flatMap { $0 }, to: work.tokens, in: pass.stream)
        try model.forward(pass)
        let draws = (0..<sizes.tokens).map { _ in Float.random(in: 0..<1, using: &random) }
        let drawn = try pass.stream.upload(draws, for: "drawing labels")
        try pass.likelihood(
            stream: work.stream(sizes.layers, sizes), norm: model.finalNorm, head: model.head, draws: drawn.address)
        for index in model.blocks.indices.reversed() {
            try pass.backward(
                model.blocks[index], index: index, input: work.stream(index, sizes),
                product: { role throws(CUDAError) in try add(role, of: index) }, vector: { _ in })
        }
        let found = try pass.stream.download(tokens.view)
        return cut(found, sizes.tokens) { _ in sizes.tokens }
    }

    /// From all texts so far, of `count` tokens, by layer.
    func channelCosts(tokens count: Int) throws(CUDAError) -> [[Projection: [Float]]] {
        let device = pass.stream.device
        let weights = try DeviceBuffer<Float>(count: channels.count, on: device, for: "squares of weights")
        try pass.stream.fill(weights.view)
        for layer in model.blocks.indices {
            for projection in Projection.allCases {
                try addSquares(
                    pass.kernels.channelSquares, model.address(projection, of: layer), to: weights.address, projection,
                    layer)
            }
        }
        func byLayer(_ buffer: borrowing DeviceBuffer<Float>) throws(CUDAError) -> [[Projection: [Float]]] {
            cut(try pass.stream.download(buffer.view), widest) { configuration.shape(of: $0).columns }
        }
        let (inputSquares, weightSquares) = (try byLayer(channels), try byLayer(weights))
        return zip(inputSquares, weightSquares).map { inputs, weights in
            inputs.reduce(into: [:]) { costs, entry in
                let share = 0.5 / Float(count) / Float(configuration.shape(of: entry.key).rows)
                costs[entry.key] = zip(entry.value, weights[entry.key] ?? []).map { share * $0 * $1 }
            }
        }
    }

    /// Adds the squares of a matrix's columns, (N, K), to its place in an array like `channels`.
    private func addSquares(
        _ kernel: Kernel, _ input: UInt64, to array: UInt64, _ projection: Projection, _ layer: Int
    ) throws(CUDAError) {
        let (rows, columns) = configuration.shape(of: projection)
        try pass.launch(
            kernel, threads: columns,
            crumb_tune_channel_squares_args(
                input: input, output: array + UInt64(4 * place(projection, of: layer) * widest),
                rows: UInt32(rows), columns: UInt32(columns)))
    }

    private func place(_ projection: Projection, of layer: Int) -> Int {
        layer * Projection.allCases.count + (Projection.allCases.firstIndex(of: projection) ?? 0)
    }

    private func cut(
        _ numbers: [Float], _ stride: Int, count: (Projection) -> Int
    ) -> [[Projection: [Float]]] {
        (0..<pass.sizes.layers).map { layer in
            Dictionary(
                uniqueKeysWithValues: Projection.allCases.map { projection in
                    let first = place(projection, of: layer) * stride
                    return (projection, Array(numbers[first..<first + count(projection)]))
                })
        }
    }

    /// Takes in the gradients by a product's output and weights, which lie in the workspace at that moment of the
    /// backward pass.
    private func add(_ role: InputRole, of layer: Int) throws(CUDAError) {
        let (s, work) = (pass.sizes, pass.work)
        let (gradient, columns) =
            switch role {
            case .queryKeyValue: (work.rows, s.rowFeatures)
            case .attentionOutput, .down: (work.narrowGradient, s.hidden)
            case .gateUp: (work.block.gateUp, 2 * s.intermediate)
            }
        var first = 0
        for projection in role.projections {
            let (rows, inputs) = configuration.shape(of: projection)
            try pass.launch(
                pass.kernels.rowSquares, blocks: s.tokens,
                crumb_tune_row_squares_args(
                    gradient: gradient, output: tokens.address + UInt64(4 * place(projection, of: layer) * s.tokens),
                    columns: UInt32(columns), first: UInt32(first), count: UInt32(rows), reserved: 0))
            try addSquares(
                pass.kernels.channelSquaresOfFloats, work.weightGradient + UInt64(4 * first * inputs),
                to: channels.address, projection, layer)
            first += rows
        }
    }
}
