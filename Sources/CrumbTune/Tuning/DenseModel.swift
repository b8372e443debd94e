import CrumbABI
import CrumbCUDA
import CrumbModel

/// A model's weights on the card as elements, row after row, for cuBLAS.
final class DenseModel {
    private let memory: DeviceBuffer<UInt8>
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
        memory = try DeviceBuffer(
            count: Self.byteCount(configuration, element), on: device, for: "16-bit weights for tuning")
        self.element = element
        self.configuration = configuration
        var layout = SlabLayout(base: memory.address)
        (embedding, head, finalNorm, blocks) = Self.place(configuration, element, in: &layout)
    }

    static func byteCount(_ configuration: ModelConfiguration, _ element: CuBLAS.ElementType) -> Int {
        SlabLayout.byteCount { place(configuration, element, in: &$0) }
    }

    private static func place(
        _ configuration: ModelConfiguration, _ element: CuBLAS.ElementType, in layout: inout SlabLayout
    ) -> (embedding: UInt64, head: UInt64, finalNorm: UInt64, blocks: [TuneBlock]) {
        let (hidden, bytes) = (configuration.hiddenSize, element.byteCount)
        let table = bytes * configuration.vocabSize * hidden
        let embedding = layout.reserve(table)
        let head = configuration.tieWordEmbeddings ? embedding : layout.reserve(table)
        let finalNorm = layout.reserve(hidden, of: Float.self)
        let blocks = (0..<configuration.numHiddenLayers).map { _ in
            TuneBlock(configuration, elementBytes: bytes, in: &layout)
        }
        return (embedding, head, finalNorm, blocks)
    }

    /// Where a projection's rows begin.
    func address(_ projection: Projection, of layer: Int) -> UInt64 {
        blocks[layer].address(projection, configuration, elementBytes: element.byteCount)
    }

    /// All numbers of a model.
    func fill(from weights: DecoderWeights, _ upload: ElementUpload, in stream: borrowing Stream) throws(CUDAError) {
        try fillTables(from: weights, upload, in: stream)
        try ElementUpload.copy(weights.finalNorm, to: finalNorm, in: stream)
        for (index, layer) in weights.layers.enumerated() {
            try blocks[index].fill(layer, configuration, upload, in: stream)
        }
    }

    /// Embedding and head alone.
    func fillTables(
        from weights: DecoderWeights, _ upload: ElementUpload, in stream: borrowing Stream
    ) throws(CUDAError) {
        try upload.send(weights.embedding, to: embedding, in: stream)
        if head != embedding { try upload.send(weights.head, to: head, in: stream) }
    }

    /// From the tokens in the workspace to each block's input and the last one's output, in its streams, and to each
    /// block's activations where there is room for them.
    func forward(_ pass: TunePass) throws(CUDAError) {
        let (work, sizes) = (pass.work, pass.sizes)
        try embed(pass, to: work.streams)
        for (index, block) in blocks.enumerated() {
            pass.enter(index)
            try pass.forward(block, from: work.stream(index, sizes), to: work.stream(index + 1, sizes))
        }
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
