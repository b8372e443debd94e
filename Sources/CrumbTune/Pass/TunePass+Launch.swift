import CrumbABI
import CrumbCUDA

/// Products and kernels, with the sizes of the pass.
extension TunePass {
    var scoreScale: Float { 1 / Float(sizes.headDim).squareRoot() }

    /// - Parameter rowColumns: Numbers of a row that the kernel keeps in shared memory.
    func launch<Arguments: BitwiseCopyable>(
        _ kernel: Kernel, blocks: Int, rowColumns: Int = 0, _ arguments: Arguments
    ) throws(CUDAError) {
        try kernel.launch(
            grid: LaunchExtent(blocks), block: LaunchExtent(Int(CRUMB_TUNE_THREADS)),
            sharedBytes: TuneKernels.sharedBytes(rowColumns), stream: stream, arguments: arguments)
    }

    /// A launch of a thread for each of `count` numbers, `times` over.
    func launch<Arguments: BitwiseCopyable>(
        _ kernel: Kernel, threads count: Int, times: Int = 1, _ arguments: Arguments
    ) throws(CUDAError) {
        let size = Int(CRUMB_TUNE_THREADS)
        try launch(kernel, blocks: (count + size - 1) / size * times, arguments)
    }

    func factor(
        _ address: UInt64, _ columns: Int, _ type: CuBLAS.ElementType? = nil, transposed: Bool = false, batch: Int = 0
    ) -> CuBLAS.Factor {
        CuBLAS.Factor(
            CuBLAS.Matrix(address: address, type: type ?? element, rowStride: columns), transposed: transposed,
            batchStride: batch)
    }

    /// E output (M, N) = E input (M, K) E weight (N, K)^T.
    func product(
        _ input: UInt64, _ weight: UInt64, to output: UInt64, n: Int, k: Int
    ) throws(CUDAError) {
        try blas.multiply(
            factor(input, k), factor(weight, k, transposed: true), into: factor(output, n), m: sizes.tokens, n: n, k: k)
    }

    /// The same, added to fp32 numbers.
    func product(
        _ input: UInt64, _ weight: UInt64, addingTo output: UInt64, n: Int, k: Int
    ) throws(CUDAError) {
        try blas.multiply(
            factor(input, k), factor(weight, k, transposed: true), into: factor(output, n, .float), m: sizes.tokens,
            n: n, k: k, beta: 1)
    }

    /// A product for each KV head of each text, the query heads that share it one below the other.
    func multiplyHeads(
        _ a: CuBLAS.Factor, _ b: CuBLAS.Factor, to c: CuBLAS.Factor, m: Int, n: Int, k: Int
    ) throws(CUDAError) {
        try blas.multiply(a, b, into: c, m: m, n: n, k: k, batches: sizes.texts * sizes.keyValueHeads)
    }

    func rope(bias: UInt64, backward: Bool) throws(CUDAError) {
        try launch(
            kernels.rope, blocks: sizes.tokens,
            crumb_tune_rope_args(
                rows: work.rows, bias: bias, frequencies: frequencies.address,
                queries: backward ? work.queryGradient : work.block.queries,
                keys: backward ? work.keyGradient : work.block.keys,
                values: backward ? work.valueGradient : work.block.values,
                length: UInt32(sizes.length), heads: UInt32(sizes.heads), kv_heads: UInt32(sizes.keyValueHeads),
                head_dim: UInt32(sizes.headDim), backward: backward ? 1 : 0, reserved: 0))
    }

    func heads(_ input: UInt64, to output: UInt64, toHeads: Bool) throws(CUDAError) {
        try launch(
            kernels.heads, blocks: sizes.tokens,
            crumb_tune_heads_args(
                input: input, output: output, length: UInt32(sizes.length), heads: UInt32(sizes.heads),
                head_dim: UInt32(sizes.headDim), to_heads: toHeads ? 1 : 0))
    }

    func silu(_ output: UInt64, backward: Bool) throws(CUDAError) {
        try launch(
            kernels.silu, blocks: sizes.tokens,
            crumb_tune_silu_args(
                gate_up: work.block.gateUp, output: output, features: UInt32(sizes.intermediate),
                backward: backward ? 1 : 0))
    }

    /// Sums of the columns of E [M][columns], to `work.sums`.
    func columnSums(_ input: UInt64, columns: Int) throws(CUDAError) {
        let parts = Int(CRUMB_TUNE_BIAS_PARTS)
        try addColumns(kernels.columnSums, of: input, rows: sizes.tokens, columns, to: work.partials, parts: parts)
        try addPartials(rows: parts, columns)
    }

    /// The sums of `rows` rows of `work.partials`, to `work.sums`.
    func addPartials(rows: Int, _ columns: Int) throws(CUDAError) {
        try addColumns(kernels.columnSumsOfFloats, of: work.partials, rows: rows, columns, to: work.sums, parts: 1)
    }

    private func addColumns(
        _ kernel: Kernel, of input: UInt64, rows: Int, _ columns: Int, to output: UInt64, parts: Int
    ) throws(CUDAError) {
        try launch(
            kernel, blocks: (columns + 31) / 32 * parts, rowColumns: Int(CRUMB_TUNE_THREADS),
            crumb_tune_column_sums_args(
                input: input, output: output, rows: UInt32(rows), columns: UInt32(columns), parts: UInt32(parts),
                reserved: 0))
    }
}
