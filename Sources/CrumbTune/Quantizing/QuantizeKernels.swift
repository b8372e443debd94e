import CrumbABI
import CrumbCUDA

/// The kernels that quantize matrices.
struct QuantizeKernels {
    let compress, diagonal, permute, cholesky, panel, unit: Kernel
    let load, bestScales, rowScales, outliers: Kernel
    let choose, descend, direction, rowSteps, move: Kernel
    let difference, dot, store: Kernel

    init(_ library: KernelLibrary) throws(CUDAError) {
        func kernel<Arguments: BitwiseCopyable>(
            _ name: String, _ arguments: Arguments.Type
        ) throws(CUDAError) -> Kernel {
            try library.kernel("quantize_\(name)", arguments: arguments)
        }
        compress = try kernel("compress", crumb_quantize_compress_args.self)
        diagonal = try kernel("diagonal", crumb_quantize_diagonal_args.self)
        permute = try kernel("permute", crumb_quantize_permute_args.self)
        cholesky = try kernel("cholesky", crumb_quantize_cholesky_args.self)
        panel = try kernel("panel", crumb_quantize_panel_args.self)
        unit = try kernel("unit", crumb_quantize_unit_args.self)
        load = try kernel("load", crumb_quantize_load_args.self)
        bestScales = try kernel("best_scales", crumb_quantize_scales_args.self)
        rowScales = try kernel("row_scales", crumb_quantize_scales_args.self)
        outliers = try kernel("outliers", crumb_quantize_outliers_args.self)
        choose = try kernel("choose", crumb_quantize_choose_args.self)
        descend = try kernel("descend", crumb_quantize_descend_args.self)
        direction = try kernel("direction", crumb_quantize_direction_args.self)
        rowSteps = try kernel("row_steps", crumb_quantize_move_args.self)
        move = try kernel("move", crumb_quantize_move_args.self)
        difference = try kernel("difference", crumb_quantize_difference_args.self)
        dot = try kernel("dot", crumb_quantize_dot_args.self)
        store = try kernel("store", crumb_quantize_store_args.self)
    }
}

/// Where quantizing runs: a stream, its products and its kernels.
struct QuantizeQueue {
    let pass: TunePass
    let kernels: QuantizeKernels

    /// A launch of a thread for each of `count` numbers, `times` over.
    func launch<Arguments: BitwiseCopyable>(
        _ kernel: Kernel, threads count: Int, times: Int = 1, _ arguments: Arguments
    ) throws(CUDAError) {
        let size = Int(CRUMB_QUANTIZE_THREADS)
        try launch(kernel, blocks: (count + size - 1) / size * times, arguments)
    }

    func launch<Arguments: BitwiseCopyable>(
        _ kernel: Kernel, blocks: Int, _ arguments: Arguments
    ) throws(CUDAError) {
        guard blocks > 0 else { return }
        try kernel.launch(
            grid: LaunchExtent(blocks), block: LaunchExtent(Int(CRUMB_QUANTIZE_THREADS)), stream: pass.stream,
            arguments: arguments)
    }

    /// c (M, N) = alpha a (M, K) b (K, N) + beta c, all fp32.
    func multiply(
        _ a: CuBLAS.Factor, _ b: CuBLAS.Factor, into c: CuBLAS.Factor, m: Int, n: Int, k: Int, alpha: Float = 1,
        beta: Float = 0
    ) throws(CUDAError) {
        guard m > 0, n > 0, k > 0 else { return }
        try pass.blas.multiply(a, b, into: c, m: m, n: n, k: k, alpha: alpha, beta: beta)
    }

    /// fp32 numbers at `address`, from number `offset` on, in rows of `columns`.
    static func matrix(_ address: UInt64, _ columns: Int, from offset: Int = 0, transposed: Bool = false)
        -> CuBLAS.Factor
    {
        CuBLAS.Factor(
            CuBLAS.Matrix(address: address + UInt64(4 * offset), type: .float, rowStride: columns),
            transposed: transposed)
    }
}
