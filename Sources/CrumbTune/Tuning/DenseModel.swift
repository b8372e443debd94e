import CrumbABI
import CrumbCUDA
import CrumbModel

/// A model's weights on the card as elements, row after row, for cuBLAS.
final class DenseModel {
    private let arena: DeviceBuffer<UInt8>
    private let element: CuBLAS.ElementType
    private let configuration: ModelConfiguration
    let embedding, head: UInt64
    var blocks: [TuneBlock]
    /// fp32 [hidden]; the student's are its own.
    var finalNorm: UInt64

    /// Room for a model; its numbers are undefined.
    init(
        _ configuration: ModelConfiguration, _ element: CuBLAS.ElementType, on device: Device
    ) throws(CUDAError) {
        let sizes = Self.sizes(configuration, element)
        arena = try DeviceBuffer(
            count: Self.byteCount(configuration, element), on: device, for: "16-bit weights for tuning")
        self.element = element
        self.configuration = configuration
        var next = arena.address
        func take(_ bytes: Int) -> UInt64 {
            defer { next += UInt64(DeviceArena.rounded(bytes)) }
            return next
        }
        embedding = take(sizes.table)
        head = configuration.tieWordEmbeddings ? embedding : take(sizes.table)
        finalNorm = take(sizes.norm)
        blocks = (0..<configuration.numHiddenLayers).map { _ in
            TuneBlock(
                queryKeyValue: take(sizes.queryKeyValue), output: take(sizes.output), gateUp: take(sizes.gateUp),
                down: take(sizes.down), inputNorm: take(sizes.norm), postNorm: take(sizes.norm), bias: take(sizes.bias))
        }
        if configuration.biases.isEmpty { for index in blocks.indices { blocks[index].bias = 0 } }
    }

    static func byteCount(_ configuration: ModelConfiguration, _ element: CuBLAS.ElementType) -> Int {
        let s = sizes(configuration, element)
        let layer = [s.queryKeyValue, s.output, s.gateUp, s.down, s.norm, s.norm, s.bias]
        let layers = configuration.numHiddenLayers * layer.reduce(0) { $0 + DeviceArena.rounded($1) }
        return layers + (configuration.tieWordEmbeddings ? 1 : 2) * DeviceArena.rounded(s.table)
            + DeviceArena.rounded(s.norm)
    }

    /// Bytes of each piece.
    private static func sizes(
        _ c: ModelConfiguration, _ element: CuBLAS.ElementType
    ) -> (table: Int, norm: Int, queryKeyValue: Int, output: Int, gateUp: Int, down: Int, bias: Int) {
        let e = element.byteCount
        let rows = c.queryFeatures + 2 * c.keyValueFeatures
        return (
            table: e * c.vocabSize * c.hiddenSize, norm: 4 * c.hiddenSize, queryKeyValue: e * rows * c.hiddenSize,
            output: e * c.hiddenSize * c.queryFeatures, gateUp: e * 2 * c.intermediateSize * c.hiddenSize,
            down: e * c.hiddenSize * c.intermediateSize, bias: 4 * rows
        )
    }

    /// Where a projection's rows begin.
    func address(_ projection: Projection, of layer: Int) -> UInt64 {
        blocks[layer].address(projection, configuration, elementBytes: element.byteCount)
    }

    /// The biases of queries, keys and values one after the other, zeros where one has none; nil without any.
    static func biases(_ layer: LayerWeights) -> [Float]? {
        guard layer.queryKeyValue.contains(where: { $0.bias != nil }) else { return nil }
        return layer.queryKeyValue.flatMap { $0.bias ?? Array(repeating: 0, count: $0.rows) }
    }

    /// All numbers of a model.
    func fill(from weights: DecoderWeights, _ upload: ElementUpload, in stream: borrowing Stream) throws(CUDAError) {
        try fillTables(from: weights, upload, in: stream)
        try ElementUpload.copy(weights.finalNorm, to: finalNorm, in: stream)
        for (index, layer) in weights.layers.enumerated() {
            try ElementUpload.copy(layer.inputNorm, to: blocks[index].inputNorm, in: stream)
            try ElementUpload.copy(layer.postAttentionNorm, to: blocks[index].postNorm, in: stream)
            if let biases = Self.biases(layer) { try ElementUpload.copy(biases, to: blocks[index].bias, in: stream) }
            for projection in Projection.allCases {
                try upload.send(layer[projection], to: address(projection, of: index), in: stream)
            }
        }
    }

    /// Embedding and head alone.
    func fillTables(
        from weights: DecoderWeights, _ upload: ElementUpload, in stream: borrowing Stream
    ) throws(CUDAError) {
        try upload.send(weights.embedding, to: embedding, in: stream)
        if head != embedding { try upload.send(weights.head, to: head, in: stream) }
    }

    /// Rows of the embedding to fp32 [M][hidden].
    func embed(_ pass: TunePass, to stream: UInt64) throws(CUDAError) {
        let threads = Int(CRUMB_EMBED_THREADS)
        let hidden = configuration.hiddenSize
        try pass.kernels.embed.launch(
            grid: LaunchExtent((hidden + 4 * threads - 1) / (4 * threads), pass.sizes.tokens),
            block: LaunchExtent(threads), stream: pass.stream,
            arguments: crumb_embed_args(
                tokens: pass.work.tokens, table: embedding, scales: 0, output: stream,
                storage: UInt32(element == .float ? CRUMB_TABLE_F32 : CRUMB_TABLE_BF16), columns: UInt32(hidden),
                vocabulary: UInt32(configuration.vocabSize), reserved: 0))
    }
}
