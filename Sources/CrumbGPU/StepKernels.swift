import CrumbABI
import CrumbCUDA
import CrumbModel

/// The kernels of a forward pass, loaded for one card and one model's sizes.
package struct StepKernels: Sendable {
    let embed: Kernel
    let rmsnorm: Kernel
    let streamInput: Kernel
    let ropeAppend: Kernel
    let attentionPrefill: Kernel
    let attentionDecode: Kernel
    /// nil where the card has no clusters.
    let attentionDecodeCluster: Kernel?
    let siluMultiply: Kernel
    let residualAdd: Kernel
    let dequantize: Kernel
    let matvecHalf: Kernel
    let matvec8: Kernel
    let matvec4: Kernel
    let argmax: Kernel
    let sample: Kernel
    /// nil where the program has none for this card: packed matrices are then turned into fp16 for every product.
    let packed: TokenKernels?
    let matmul: TokenKernels?
    let matmulRoles: TokenKernels?

    /// Head dimensions that attention is compiled for.
    package static let headDimensions = [32, 64, 80, 96, 128]

    /// - Parameter library: May lack the packed products.
    /// - Throws: `CUDAError` where another kernel is missing or does not fit the card.
    init(_ library: KernelLibrary, _ configuration: ModelConfiguration) throws(CUDAError) {
        let head = configuration.headDim
        embed = try library.kernel("embed", arguments: crumb_embed_args.self)
        rmsnorm = try library.kernel(
            "rmsnorm_gather_f16", arguments: crumb_rmsnorm_args.self,
            sharedBytes: Self.normSharedBytes(configuration.hiddenSize))
        streamInput = try library.kernel("stream_input", arguments: crumb_stream_input_args.self)
        ropeAppend = try library.kernel("rope_append_f16", arguments: crumb_rope_append_args.self)
        attentionPrefill = try library.kernel(
            "attention_prefill_f16_d\(head)", arguments: crumb_attention_prefill_args.self,
            sharedBytes: Self.prefillSharedBytes(head))
        attentionDecode = try library.kernel(
            "attention_decode_f16_d\(head)", arguments: crumb_attention_decode_args.self)
        let cluster = "attention_decode_cluster_f16_d\(head)"
        let hasClusters = library.device.info.capability.hasProgrammaticLaunch && library.has(cluster)
        attentionDecodeCluster =
            hasClusters ? try library.kernel(cluster, arguments: crumb_attention_decode_args.self) : nil
        siluMultiply = try library.kernel(
            "silu_multiply_f16", arguments: crumb_silu_multiply_args.self,
            sharedBytes: Self.siluSharedBytes(configuration.intermediateSize))
        residualAdd = try library.kernel("residual_add", arguments: crumb_residual_add_args.self)
        dequantize = try library.kernel("dequantize_packed_f16", arguments: crumb_dequantize_args.self)
        func matvec(_ name: String) throws(CUDAError) -> Kernel {
            let kernel = try library.kernel(name, arguments: crumb_matvec_args.self)
            try kernel.allowSharedMemory(bytes: library.device.info.sharedBytesPerBlock - kernel.staticSharedBytes)
            return kernel
        }
        matvecHalf = try matvec("matvec_f16")
        matvec8 = try matvec("matvec_q8")
        matvec4 = try matvec("matvec_q4")
        argmax = try library.kernel("argmax_f32", arguments: crumb_argmax_args.self)
        sample = try library.kernel("sample_f32", arguments: crumb_sample_args.self)
        packed = try TokenKernels(.packed, library, arguments: crumb_packed_args.self)
        matmul = try TokenKernels(.matmul, library, arguments: crumb_matmul_args.self)
        matmulRoles = try TokenKernels(.matmulRoles, library, arguments: crumb_matmul_args.self)
    }

    /// The kernel for tables of `bits` a code.
    func matvec(bits: Int) -> Kernel { bits == 16 ? matvecHalf : bits == 8 ? matvec8 : matvec4 }

    /// Dynamic shared memory, as the heads of the kernels' files say.
    static func normSharedBytes(_ columns: Int) -> Int { 4 * columns }
    static func siluSharedBytes(_ features: Int) -> Int { 2 * features }
    static func ropeSharedBytes(_ headDim: Int) -> Int { 4 * headDim }
    static func prefillSharedBytes(_ headDim: Int) -> Int { 4 * 64 * (headDim + 8) * 2 }
}
