import CrumbABI
import CrumbCUDA
import CrumbModel

/// The operators of a block over M tokens, forward and backward. Weight gradients go to who asks for them, one product
/// at a time, as soon as they are there.
final class TunePass {
    let sizes: TuneSizes
    private(set) var work: TuneWorkspace
    private let memory: DeviceBuffer<UInt8>
    let stream: Stream
    let kernels: TuneKernels
    let element: CuBLAS.ElementType
    let blas: CuBLAS
    let frequencies: DeviceBuffer<Float>
    private let epsilon: Float

    /// The vectors of a block, and the norm in front of the head.
    enum Vector: Hashable { case inputNorm(Int), postNorm(Int), bias(Int), finalNorm }

    /// - Parameter room: `forward` where `backward` and `divergence` will not be called, and `work.streams` not used.
    init(
        _ configuration: ModelConfiguration, sizes: TuneSizes, element: CuBLAS.ElementType, library: KernelLibrary,
        blas: CuBLASTable, room: TuneRoom = .recomputing
    ) throws(CUDAError) {
        let stream = try Stream(on: library.device)
        self.sizes = sizes
        self.element = element
        kernels = try TuneKernels(library, element: element, widest: max(sizes.hidden, sizes.intermediate))
        func workspace(at base: UInt64 = 0) -> TuneWorkspace {
            TuneWorkspace(sizes, elementBytes: element.byteCount, room, base: base)
        }
        memory = try DeviceBuffer(
            count: workspace().byteCount, on: library.device, for: "the activations of tuning")
        work = workspace(at: memory.address)
        self.blas = try CuBLAS(blas, on: stream)
        frequencies = try stream.upload(configuration.rotaryFrequencies, for: "rotary frequencies")
        epsilon = configuration.rmsNormEps
        self.stream = stream
    }

    /// Takes block `index`'s activations into work; without room for all of them, all blocks take turns with one's.
    func enter(_ index: Int) { work.enter(index) }

    // MARK: forward

    /// output = block(input); both fp32 [M][hidden], and may be the same. The workspace then holds what `backward` needs.
    ///
    /// - Parameter completes: Whether the last product is wanted; the backward pass does without it.
    func forward(_ block: TuneBlock, from input: UInt64, to output: UInt64, completes: Bool = true) throws(CUDAError) {
        try norm(input, weight: block.inputNorm, to: work.block.normed1, scales: work.block.scales1)
        try attend(block)
        try copyStream(input, to: work.block.middle)
        try addAttention(block, work.block.attended, to: work.block.middle)
        try norm(work.block.middle, weight: block.postNorm, to: work.block.normed2, scales: work.block.scales2)
        try activate(block, to: work.block.activation)
        guard completes else { return }
        try copyStream(work.block.middle, to: output)
        try addActivation(block, work.block.activation, to: output)
    }

    /// From the norm in front of it, in `work.block.normed1`, to the heads' outputs side by side, in `work.block.attended`.
    func attend(_ block: TuneBlock) throws(CUDAError) {
        let s = sizes
        try product(work.block.normed1, block.queryKeyValue, to: work.rows, n: s.rowFeatures, k: s.hidden)
        try rope(bias: block.bias, backward: false)
        try multiplyHeads(
            factor(work.block.queries, s.headDim, batch: s.share * s.length * s.headDim),
            factor(work.block.keys, s.headDim, transposed: true, batch: s.length * s.headDim),
            to: factor(work.scores, s.length, .float, batch: s.share * s.length * s.length),
            m: s.share * s.length, n: s.length, k: s.headDim)
        try launch(
            kernels.softmax, blocks: s.texts * s.heads * s.length / 8,
            crumb_tune_softmax_args(
                scores: work.scores, probabilities: work.block.probabilities, length: UInt32(s.length),
                scale: scoreScale))
        try multiplyHeads(
            factor(work.block.probabilities, s.length, batch: s.share * s.length * s.length),
            factor(work.block.values, s.headDim, batch: s.length * s.headDim),
            to: factor(work.heads, s.headDim, batch: s.share * s.length * s.headDim),
            m: s.share * s.length, n: s.headDim, k: s.length)
        try heads(work.heads, to: work.block.attended, toHeads: false)
    }

    /// stream += o's product with E [M][q features].
    func addAttention(_ block: TuneBlock, _ attended: UInt64, to stream: UInt64) throws(CUDAError) {
        try product(attended, block.output, addingTo: stream, n: sizes.hidden, k: sizes.queryFeatures)
    }

    /// From the norm in front of it, in `work.block.normed2`, to silu(gate) x up, E [M][intermediate].
    func activate(_ block: TuneBlock, to activation: UInt64) throws(CUDAError) {
        try product(work.block.normed2, block.gateUp, to: work.block.gateUp, n: 2 * sizes.intermediate, k: sizes.hidden)
        try silu(activation, backward: false)
    }

    /// stream += down's product with the activation.
    func addActivation(_ block: TuneBlock, _ activation: UInt64, to stream: UInt64) throws(CUDAError) {
        try product(activation, block.down, addingTo: stream, n: sizes.hidden, k: sizes.intermediate)
    }

    /// E output = norm(fp32 input).
    func norm(_ input: UInt64, weight: UInt64, to output: UInt64, scales: UInt64) throws(CUDAError) {
        try launch(
            kernels.norm, blocks: sizes.tokens,
            crumb_tune_norm_args(
                input: input, weight: weight, output: output, scales: scales, columns: UInt32(sizes.hidden),
                epsilon: epsilon))
    }

    func copyStream(_ source: UInt64, to target: UInt64) throws(CUDAError) {
        guard source != target else { return }
        let count = sizes.tokens * sizes.hidden
        try stream.copy(
            DeviceView<Float>(address: source, count: count), to: DeviceView(address: target, count: count))
    }
}
