import CrumbABI
package import CrumbCUDA
package import CrumbModel
package import CrumbThreads

extension GPUDecoder {
    /// A model on the card: plans its memory, uploads it and makes it ready.
    ///
    /// - Parameters:
    ///   - weights: On the host; not needed afterwards.
    ///   - progress: Called now and then with the share of the weights that is there.
    /// - Throws: `ModelError` for a model that the kernels do not serve; `CUDAError` where memory is short, before
    ///   anything is uploaded, or the card fails.
    package convenience init(
        _ configuration: ModelConfiguration, weights: DecoderWeights, library: KernelLibrary, blas: CuBLASTable?,
        pool: ThreadPool, progress: (Double) throws -> Void = { _ in }
    ) throws {
        try Self.check(configuration)
        let device = library.device
        let plan = try WeightPlan(weights, configuration)
        try device.require(
            bytes: plan.byteCount + Self.workingBytes(configuration, plan.weights, device, hasLibrary: blas != nil),
            for: "the model")
        let stream = try Stream(on: device)
        let uploaded = try UploadedWeights(weights, configuration, on: stream, pool: pool, progress: progress)
        try self.init(configuration, uploaded, library: library, blas: blas, stream: stream)
    }

    /// cuBLAS's workspace and what it takes for itself, about.
    private static let blasBytes = 64 << 20

    /// Bytes of device memory beside weights and caches, about.
    package static func workingBytes(
        _ configuration: ModelConfiguration, _ weights: DeviceWeights, _ device: Device, hasLibrary: Bool
    ) -> Int {
        let hasClusters = device.info.capability.hasProgrammaticLaunch
        func bytes(_ rows: Int, usesPacked: Bool, usesMatmul: Bool) -> Int {
            Workspace.byteCount(
                rows: rows, configuration, weights,
                limits: Workspace.Limits(
                    multiprocessors: device.info.multiprocessors, hasClusters: hasClusters, usesPacked: usesPacked,
                    usesMatmul: usesMatmul))
        }
        let fixed =
            bytes(mostSequences(weights, hasLibrary: hasLibrary), usesPacked: true, usesMatmul: true)
            + bytes(plannedRows, usesPacked: !hasLibrary, usesMatmul: false)
        let logits = stepRows * configuration.vocabSize * 4
        return fixed + logits + (hasLibrary ? 2 * DequantizeSlices.elements(weights) + blasBytes : 0)
    }

    /// - Throws: `ModelError` that says what the kernels are not made for.
    package static func check(_ configuration: ModelConfiguration) throws(ModelError) {
        let known = StepKernels.headDimensions
        guard known.contains(configuration.headDim) else {
            throw ModelError(
                "heads of \(configuration.headDim) features are not served on the GPU, which has kernels for "
                    + "\(known.map(String.init).joined(separator: ", ")); use --device cpu")
        }
        guard configuration.hiddenSize % 32 == 0, configuration.intermediateSize % 8 == 0 else {
            throw ModelError(
                "hidden_size \(configuration.hiddenSize) and intermediate_size \(configuration.intermediateSize) must be "
                    + "multiples of 32 and 8 for the GPU's kernels; use --device cpu")
        }
    }

    /// Makes sure that every product can be made, so that no pass fails half way.
    func checkRoutes() throws {
        guard blas == nil else { return }
        for layer in weights.layers {
            for role in InputRole.allCases where route(layer[role], rows: 1) == nil {
                throw CUDAError(
                    .library,
                    "this model's matrices need cuBLAS on \(device.label), and no libcublas.so can be loaded: install "
                        + "CUDA's libcublas 13, or put its folder into LD_LIBRARY_PATH, or use --device cpu")
            }
        }
    }

    static func pathName(
        _ weights: DeviceWeights, packedWidth: Int, usesMatmul: Bool, _ blas: Library?
    ) -> String {
        let isPacked = weights.isPacked
        let few: String =
            !isPacked ? "fp16 matrices" : packedWidth == 0 ? "codes turned into fp16" : "packed codes"
        guard let blas else { return "\(few), no cuBLAS" }
        let most = usesMatmul ? stepRows : packedTokens
        let from = !isPacked ? MatvecPlan.widest + 1 : packedWidth == 0 ? 1 : most + 1
        return "\(few), cuBLAS \(blas.handle.version) from \(from) token\(from == 1 ? "" : "s") on"
    }
}
