import CrumbABI
import CrumbCUDA
import CrumbModel

/// The operators of a block over M tokens, forward and backward. Weight gradients go to who asks for them, one product
/// at a time, as soon as they are there.
final class TunePass {
    let sizes: TuneSizes
    let work: TuneWorkspace
    let stream: Stream
    let kernels: TuneKernels
    let element: CuBLAS.ElementType
    let blas: CuBLAS
    private let frequencies: DeviceBuffer<Float>
    private let epsilon: Float

    /// The four products of a block.
    enum Product { case queryKeyValue, output, gateUp, down }
    /// The vectors of a block, and the norm in front of the head.
    enum Vector: Hashable { case inputNorm(Int), postNorm(Int), bias(Int), finalNorm }

    /// - Parameter hasGradients: Whether `backward` and `divergence` will be called, and `work.streams` used.
    init(
        _ configuration: ModelConfiguration, sizes: TuneSizes, element: CuBLAS.ElementType, library: KernelLibrary,
        blas: CuBLASTable, hasGradients: Bool = true
    ) throws(CUDAError) {
        let stream = try Stream(on: library.device)
        self.sizes = sizes
        self.element = element
        kernels = try TuneKernels(library, element: element, widest: max(sizes.hidden, sizes.intermediate))
        work = try TuneWorkspace(
            sizes, elementBytes: element.byteCount, hasGradients: hasGradients, on: library.device)
        self.blas = try CuBLAS(blas, on: stream)
        frequencies = try stream.upload(configuration.rotaryFrequencies, for: "rotary frequencies")
        epsilon = configuration.rmsNormEps
        self.stream = stream
    }

    // MARK: forward

    /// output = block(input); both fp32 [M][hidden], and may be the same. The workspace then holds what `backward` needs.
    ///
    /// - Parameter completes: Whether the last product is wanted; the backward pass does without it.
    func forward(_ block: TuneBlock, from input: UInt64, to output: UInt64, completes: Bool = true) throws(CUDAError) {
        try norm(input, weight: block.inputNorm, to: work.normed1, scales: work.scales1)
        try attend(block)
        try copyStream(input, to: work.middle)
        try addAttention(block, work.attended, to: work.middle)
        try norm(work.middle, weight: block.postNorm, to: work.normed2, scales: work.scales2)
        try activate(block, to: work.activation)
        guard completes else { return }
        try copyStream(work.middle, to: output)
        try addActivation(block, work.activation, to: output)
    }

    /// From the norm in front of it, in `work.normed1`, to the heads' outputs side by side, in `work.attended`.
    func attend(_ block: TuneBlock) throws(CUDAError) {
        let s = sizes
        try product(work.normed1, block.queryKeyValue, to: work.rows, n: s.rowFeatures, k: s.hidden)
        try rope(bias: block.bias, backward: false)
        try multiplyHeads(
            factor(work.queries, s.headDim, batch: s.share * s.length * s.headDim),
            factor(work.keys, s.headDim, transposed: true, batch: s.length * s.headDim),
            to: factor(work.scores, s.length, .float, batch: s.share * s.length * s.length),
            m: s.share * s.length, n: s.length, k: s.headDim)
        try launch(
            kernels.softmax, blocks: s.texts * s.heads * s.length / 8,
            crumb_tune_softmax_args(
                scores: work.scores, probabilities: work.probabilities, length: UInt32(s.length), scale: scoreScale))
        try multiplyHeads(
            factor(work.probabilities, s.length, batch: s.share * s.length * s.length),
            factor(work.values, s.headDim, batch: s.length * s.headDim),
            to: factor(work.heads, s.headDim, batch: s.share * s.length * s.headDim),
            m: s.share * s.length, n: s.headDim, k: s.length)
        try heads(work.heads, to: work.attended, toHeads: false)
    }

    /// stream += o's product with E [M][q features].
    func addAttention(_ block: TuneBlock, _ attended: UInt64, to stream: UInt64) throws(CUDAError) {
        try product(attended, block.output, addingTo: stream, n: sizes.hidden, k: sizes.queryFeatures)
    }

    /// From the norm in front of it, in `work.normed2`, to silu(gate) x up, E [M][intermediate].
    func activate(_ block: TuneBlock, to activation: UInt64) throws(CUDAError) {
        try product(work.normed2, block.gateUp, to: work.gateUp, n: 2 * sizes.intermediate, k: sizes.hidden)
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

    // MARK: backward

    /// Takes the stream's gradient, in `work.gradient`, from behind a block to before it.
    ///
    /// - Parameters:
    ///   - input: What the block's forward pass was given.
    ///   - product: Called with each product when its gradient, fp32 [N][K], is in `work.weightGradient`; the product's
    ///     weights are not read any more.
    ///   - vector: Called when a vector's gradient is in `work.sums`.
    func backward(
        _ block: TuneBlock, index: Int, input: UInt64, product step: (Product) throws(CUDAError) -> Void,
        vector stepVector: (Vector) throws(CUDAError) -> Void
    ) throws(CUDAError) {
        let s = sizes
        try forward(block, from: input, to: input, completes: false)
        try narrowGradient()
        try backward(
            work.narrowGradient, n: s.hidden, through: block.down, of: work.activation, k: s.intermediate,
            to: work.activationGradient)
        try step(.down)
        try silu(work.activationGradient, backward: true)
        try backward(
            work.gateUp, n: 2 * s.intermediate, through: block.gateUp, of: work.normed2, k: s.hidden,
            to: work.normGradient)
        try step(.gateUp)
        try normBackward(work.middle, weight: block.postNorm, scales: work.scales2)
        try stepVector(.postNorm(index))

        try narrowGradient()
        try backward(
            work.narrowGradient, n: s.hidden, through: block.output, of: work.attended, k: s.queryFeatures,
            to: work.heads)
        try step(.output)
        try heads(work.heads, to: work.headGradient, toHeads: true)
        try attentionBackward()
        try rope(bias: 0, backward: true)
        if block.bias != 0 {
            try columnSums(work.rows, columns: s.rowFeatures)
            try stepVector(.bias(index))
        }
        try backward(
            work.rows, n: s.rowFeatures, through: block.queryKeyValue, of: work.normed1, k: s.hidden,
            to: work.normGradient)
        try step(.queryKeyValue)
        try normBackward(input, weight: block.inputNorm, scales: work.scales1)
        try stepVector(.inputNorm(index))
    }

    /// work.gradient += gradient of a norm's input, by `work.normGradient`; its weight's gradient goes to `work.sums`.
    func normBackward(_ input: UInt64, weight: UInt64, scales: UInt64) throws(CUDAError) {
        let columns = sizes.hidden
        try launch(
            kernels.normBackward, blocks: Int(CRUMB_TUNE_PARTIALS), rowColumns: columns,
            crumb_tune_norm_backward_args(
                input: input, weight: weight, scales: scales, gradient: work.normGradient,
                stream_gradient: work.gradient, partials: work.partials, tokens: UInt32(sizes.tokens),
                columns: UInt32(columns)))
        try addPartials(columns)
    }

    /// Gradients of y = x w^T by dy, E [M][N]: dw to `work.weightGradient`, then dx, E [M][K], to `output`.
    private func backward(
        _ gradient: UInt64, n: Int, through weight: UInt64, of input: UInt64, k: Int, to output: UInt64
    ) throws(CUDAError) {
        try blas.multiply(
            factor(gradient, n, transposed: true), factor(input, k), into: factor(work.weightGradient, k, .float), m: n,
            n: k, k: sizes.tokens)
        try blas.multiply(factor(gradient, n), factor(weight, k), into: factor(output, k), m: sizes.tokens, n: k, k: n)
    }

    /// From the gradient of the heads' outputs to those of queries, keys and values.
    private func attentionBackward() throws(CUDAError) {
        let s = sizes
        let (square, slice) = (s.share * s.length * s.length, s.length * s.headDim)
        try multiplyHeads(
            factor(work.headGradient, s.headDim, batch: s.share * slice),
            factor(work.values, s.headDim, transposed: true, batch: slice),
            to: factor(work.scores, s.length, .float, batch: square), m: s.share * s.length, n: s.length, k: s.headDim)
        try multiplyHeads(
            factor(work.probabilities, s.length, transposed: true, batch: square),
            factor(work.headGradient, s.headDim, batch: s.share * slice),
            to: factor(work.valueGradient, s.headDim, batch: slice), m: s.length, n: s.headDim, k: s.share * s.length)
        try launch(
            kernels.softmaxBackward, blocks: s.texts * s.heads * s.length / 8,
            crumb_tune_softmax_backward_args(
                gradient: work.scores, probabilities: work.probabilities, output: work.probabilities,
                length: UInt32(s.length), scale: scoreScale))
        try multiplyHeads(
            factor(work.probabilities, s.length, batch: square), factor(work.keys, s.headDim, batch: slice),
            to: factor(work.queryGradient, s.headDim, batch: s.share * slice), m: s.share * s.length, n: s.headDim,
            k: s.length)
        try multiplyHeads(
            factor(work.probabilities, s.length, transposed: true, batch: square),
            factor(work.queries, s.headDim, batch: s.share * slice),
            to: factor(work.keyGradient, s.headDim, batch: slice), m: s.length, n: s.headDim, k: s.share * s.length)
    }

    private func narrowGradient() throws(CUDAError) {
        let count = sizes.tokens * sizes.hidden
        try launch(
            kernels.narrow, blocks: (count + Int(CRUMB_TUNE_THREADS) - 1) / Int(CRUMB_TUNE_THREADS),
            crumb_tune_narrow_args(input: work.gradient, output: work.narrowGradient, count: UInt64(count)))
    }

    // MARK: head

    /// Sets `work.gradient` to that of the mean divergence, and `work.sums` to the final norm's, from the student's last
    /// stream; the teacher's input of its head is in `work.teacherNormed`. Divergences go to `work.losses`.
    func divergence(
        stream last: UInt64, norm: UInt64, head: UInt64, teacherHead: UInt64, backward: Bool
    ) throws(CUDAError) {
        let s = sizes
        try self.norm(last, weight: norm, to: work.normed1, scales: work.scales1)
        for first in Swift.stride(from: 0, to: s.tokens, by: TuneSizes.logitRows) {
            let count = min(TuneSizes.logitRows, s.tokens - first)
            let offset = UInt64(first * s.hidden * element.byteCount)
            for (input, weight, output) in [
                (work.normed1, head, work.studentLogits), (work.teacherNormed, teacherHead, work.teacherLogits),
            ] {
                try blas.multiply(
                    factor(input + offset, s.hidden), factor(weight, s.hidden, transposed: true),
                    into: factor(output, s.vocabulary, .float), m: count, n: s.vocabulary, k: s.hidden)
            }
            try launch(
                kernels.divergence, blocks: count,
                crumb_tune_divergence_args(
                    student: work.studentLogits, teacher: work.teacherLogits, gradient: work.logitGradient,
                    losses: work.losses + UInt64(4 * first), vocabulary: UInt32(s.vocabulary),
                    weight: 1 / Float(s.tokens)))
            guard backward else { continue }
            try blas.multiply(
                factor(work.logitGradient, s.vocabulary), factor(head, s.hidden),
                into: factor(work.normGradient + offset, s.hidden), m: count, n: s.hidden, k: s.vocabulary)
        }
        guard backward else { return }
        try stream.fill(DeviceView<Float>(address: work.gradient, count: s.tokens * s.hidden))
        try normBackward(last, weight: norm, scales: work.scales1)
    }
}

// MARK: launches

extension TunePass {
    private var scoreScale: Float { 1 / Float(sizes.headDim).squareRoot() }

    /// - Parameter rowColumns: Numbers of a row that the kernel keeps in shared memory.
    func launch<Arguments: BitwiseCopyable>(
        _ kernel: Kernel, blocks: Int, rowColumns: Int = 0, _ arguments: Arguments
    ) throws(CUDAError) {
        try kernel.launch(
            grid: LaunchExtent(blocks), block: LaunchExtent(Int(CRUMB_TUNE_THREADS)),
            sharedBytes: TuneKernels.sharedBytes(rowColumns), stream: stream, arguments: arguments)
    }

    private func factor(
        _ address: UInt64, _ columns: Int, _ type: CuBLAS.ElementType? = nil, transposed: Bool = false, batch: Int = 0
    ) -> CuBLAS.Factor {
        CuBLAS.Factor(
            CuBLAS.Matrix(address: address, type: type ?? element, rowStride: columns), transposed: transposed,
            batchStride: batch)
    }

    /// E output (M, N) = E input (M, K) E weight (N, K)^T.
    private func product(
        _ input: UInt64, _ weight: UInt64, to output: UInt64, n: Int, k: Int
    ) throws(CUDAError) {
        try blas.multiply(
            factor(input, k), factor(weight, k, transposed: true), into: factor(output, n), m: sizes.tokens, n: n, k: k)
    }

    /// The same, added to fp32 numbers.
    private func product(
        _ input: UInt64, _ weight: UInt64, addingTo output: UInt64, n: Int, k: Int
    ) throws(CUDAError) {
        try blas.multiply(
            factor(input, k), factor(weight, k, transposed: true), into: factor(output, n, .float), m: sizes.tokens,
            n: n, k: k, beta: 1)
    }

    /// A product for each KV head of each text, the query heads that share it one below the other.
    private func multiplyHeads(
        _ a: CuBLAS.Factor, _ b: CuBLAS.Factor, to c: CuBLAS.Factor, m: Int, n: Int, k: Int
    ) throws(CUDAError) {
        try blas.multiply(a, b, into: c, m: m, n: n, k: k, batches: sizes.texts * sizes.keyValueHeads)
    }

    private func rope(bias: UInt64, backward: Bool) throws(CUDAError) {
        try launch(
            kernels.rope, blocks: sizes.tokens,
            crumb_tune_rope_args(
                rows: work.rows, bias: bias, frequencies: frequencies.address,
                queries: backward ? work.queryGradient : work.queries,
                keys: backward ? work.keyGradient : work.keys, values: backward ? work.valueGradient : work.values,
                length: UInt32(sizes.length), heads: UInt32(sizes.heads), kv_heads: UInt32(sizes.keyValueHeads),
                head_dim: UInt32(sizes.headDim), backward: backward ? 1 : 0, reserved: 0))
    }

    private func heads(_ input: UInt64, to output: UInt64, toHeads: Bool) throws(CUDAError) {
        try launch(
            kernels.heads, blocks: sizes.tokens,
            crumb_tune_heads_args(
                input: input, output: output, length: UInt32(sizes.length), heads: UInt32(sizes.heads),
                head_dim: UInt32(sizes.headDim), to_heads: toHeads ? 1 : 0))
    }

    private func silu(_ output: UInt64, backward: Bool) throws(CUDAError) {
        try launch(
            kernels.silu, blocks: sizes.tokens,
            crumb_tune_silu_args(
                gate_up: work.gateUp, output: output, features: UInt32(sizes.intermediate), backward: backward ? 1 : 0))
    }

    /// Sums of the columns of E [M][columns], to `work.sums`.
    private func columnSums(_ input: UInt64, columns: Int) throws(CUDAError) {
        let parts = Int(CRUMB_TUNE_PARTIALS)
        try launch(
            kernels.columnSums, blocks: parts * ((columns + Int(CRUMB_TUNE_THREADS) - 1) / Int(CRUMB_TUNE_THREADS)),
            crumb_tune_column_sums_args(
                input: input, output: work.partials, rows: UInt32(sizes.tokens), columns: UInt32(columns),
                parts: UInt32(parts), reserved: 0))
        try addPartials(columns)
    }

    private func addPartials(_ columns: Int) throws(CUDAError) {
        try launch(
            kernels.columnSumsOfFloats, blocks: (columns + Int(CRUMB_TUNE_THREADS) - 1) / Int(CRUMB_TUNE_THREADS),
            crumb_tune_column_sums_args(
                input: work.partials, output: work.sums, rows: UInt32(CRUMB_TUNE_PARTIALS), columns: UInt32(columns),
                parts: 1, reserved: 0))
    }
}
