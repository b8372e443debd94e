import CrumbABI
import CrumbCUDA

/// The kernels of tuning, for elements of bf16, or of fp32 where gradients are checked.
struct TuneKernels {
    let norm, normBackward, columnSums, columnSumsOfFloats: Kernel
    let rope, heads, softmax, softmaxBackward: Kernel
    let silu, divergence, likelihood, step, adam, embed: Kernel
    let rowSquares, channelSquares, channelSquaresOfFloats: Kernel

    /// - Parameter widest: Channels of the widest row that is kept in shared memory.
    /// - Throws: `CUDAError` where the card is too old for bf16 (before compute capability 8.0), or has too little shared
    ///   memory for such rows.
    init(_ library: KernelLibrary, element: CuBLAS.ElementType, widest: Int) throws(CUDAError) {
        let suffix = element == .float ? "f32" : "bf16"
        func kernel<Arguments: BitwiseCopyable>(
            _ name: String, _ arguments: Arguments.Type, sharedBytes: Int = 0
        ) throws(CUDAError) -> Kernel {
            try library.kernel("tune_\(name)", arguments: arguments, sharedBytes: sharedBytes)
        }
        norm = try kernel("norm_\(suffix)", crumb_tune_norm_args.self)
        normBackward = try kernel(
            "norm_backward_\(suffix)", crumb_tune_norm_backward_args.self, sharedBytes: Self.sharedBytes(widest))
        columnSums = try kernel("column_sums_\(suffix)", crumb_tune_column_sums_args.self)
        columnSumsOfFloats = try kernel("column_sums_f32", crumb_tune_column_sums_args.self)
        rope = try kernel("rope_\(suffix)", crumb_tune_rope_args.self)
        heads = try kernel("heads_\(suffix)", crumb_tune_heads_args.self)
        softmax = try kernel("softmax_\(suffix)", crumb_tune_softmax_args.self)
        softmaxBackward = try kernel("softmax_backward_\(suffix)", crumb_tune_softmax_backward_args.self)
        silu = try kernel("silu_\(suffix)", crumb_tune_silu_args.self)
        divergence = try kernel("divergence_\(suffix)", crumb_tune_divergence_args.self)
        likelihood = try kernel("likelihood_\(suffix)", crumb_tune_likelihood_args.self)
        rowSquares = try kernel("row_squares_\(suffix)", crumb_tune_row_squares_args.self)
        channelSquares = try kernel("channel_squares_\(suffix)", crumb_tune_channel_squares_args.self)
        channelSquaresOfFloats = try kernel("channel_squares_f32", crumb_tune_channel_squares_args.self)
        step = try kernel("step_\(suffix)", crumb_tune_step_args.self, sharedBytes: Self.sharedBytes(widest))
        adam = try kernel("adam", crumb_tune_adam_args.self)
        embed = try library.kernel("embed", arguments: crumb_embed_args.self)
    }

    /// Of a block that keeps a row of so many numbers.
    static func sharedBytes(_ rowColumns: Int) -> Int { Int(CRUMB_TUNE_SCRATCH_BYTES) + 4 * rowColumns }
}
