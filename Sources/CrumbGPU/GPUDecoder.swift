import CrumbABI
package import CrumbCUDA
package import CrumbModel
import CrumbPacked

/// Takes tokens through a model on one card. One caller at a time.
///
/// What a pass launches stands in the extensions: `+Layers` the order of things, `+Linear` the products, `+Attention`,
/// `+Logits` the head. Everything runs in one stream; the host waits only for logits.
package final class GPUDecoder: Decoder {
    package let configuration: ModelConfiguration
    package let library: KernelLibrary
    package let bytesPerToken: Int
    /// How products are made, for logs: "packed codes, cuBLAS 130100 from 65 tokens on".
    package let pathName: String

    package var device: Device { library.device }

    let stream: Stream
    let kernels: StepKernels
    let blas: Library?
    /// Tokens of a packed product's launch: 4, or fewer where a matrix's sums do not fit the shared memory; 0 where there
    /// are no packed products.
    let packedWidth: Int
    /// Whether more tokens, up to `stepRows`, go through packed_matmul.
    let usesMatmul: Bool
    /// Of packed products; anything but what was planned is `KernelTimer`'s.
    var copyWindow = PackedLaunch.CopyWindow.planned
    let uploaded: UploadedWeights
    /// For passes of up to `mostSequences` tokens, and for recorded steps: its addresses never change.
    let step: Workspace
    /// For longer ones; grows.
    private var long: Workspace?
    /// What the last pass left for the head.
    var last: (workspace: Workspace, rows: Int)?
    let logitsMemory: LogitsMemory
    /// Recorded decode steps.
    var graphs: [StepGraph.Key: StepGraph] = [:]
    private var choices: ChoiceMemory?
    /// fp16 rows of a packed matrix, for cuBLAS.
    let scratch: DeviceBuffer<UInt16>

    /// Sequences of a decode step, and tokens of a pass in the small workspace.
    package let mostSequences: Int
    /// The same where matrices are packed: tokens of packed_matmul.
    package static let stepRows = 64
    /// The same where they are not, and cuBLAS takes any number: Qwen2.5-1.5B's fp16 weights are read once for all.
    private static let libraryRows = 256
    /// Tokens up to which packed products are made a few at a time, where packed_matmul does not serve, before turning
    /// matrices into fp16 for cuBLAS is better: Llama-2-7B's four products took 40 us with one token on one H200, and 320 us by
    /// way of fp16.
    package static let packedTokens = 16
    /// Tokens of a long pass that memory is planned for.
    package static let plannedRows = 512

    /// cuBLAS in the decoder's stream.
    final class Library {
        let handle: CuBLAS
        init(_ handle: consuming CuBLAS) { self.handle = handle }
    }

    var weights: DeviceWeights { uploaded.places }

    /// - Parameters:
    ///   - stream: The weights' own.
    ///   - blas: nil where there is no cuBLAS; long passes are then made eight tokens at a time.
    /// - Throws: `ModelError` for a model that the kernels do not serve; `CUDAError`.
    package init(
        _ configuration: ModelConfiguration, _ uploaded: UploadedWeights, library: KernelLibrary,
        blas table: CuBLASTable?, stream: consuming Stream
    ) throws {
        try Self.check(configuration)
        let device = stream.device
        let kernels = try StepKernels(library, configuration)
        let blas = try table.map { Library(try CuBLAS($0, on: stream)) }
        let width = kernels.packed.map { _ in PackedLaunch.width(uploaded.places, device.info) } ?? 0
        let hasMatmul = kernels.matmul != nil && width > 0 && MatmulLaunch.serves(uploaded.places, device.info)
        let limits = Workspace.Limits(
            multiprocessors: device.info.multiprocessors, hasClusters: kernels.attentionDecodeCluster != nil,
            usesPacked: width > 0, usesMatmul: hasMatmul)
        self.configuration = configuration
        packedWidth = width
        usesMatmul = hasMatmul
        self.uploaded = uploaded
        self.library = library
        self.kernels = kernels
        self.blas = blas
        mostSequences = Self.mostSequences(uploaded.places, hasLibrary: blas != nil)
        step = try Workspace(rows: mostSequences, configuration, uploaded.places, limits: limits, in: stream)
        logitsMemory = LogitsMemory(columns: configuration.vocabSize)
        scratch = try DeviceBuffer(
            count: blas == nil ? 0 : DequantizeSlices.elements(uploaded.places), on: device,
            for: "matrices as fp16")
        bytesPerToken = uploaded.places.bytesPerToken
        pathName = Self.pathName(uploaded.places, packedWidth: width, usesMatmul: hasMatmul, blas)
        self.stream = stream
        try checkRoutes()
    }

    package func makeCache(capacity: Int) throws -> any SequenceCache { try makeCaches(1, capacity: capacity)[0] }

    /// Room for several sequences' keys and values side by side, so that one launch attends for all of them.
    package func makeCaches(_ count: Int, capacity: Int) throws -> [DeviceCache] {
        let arena = try CacheArena(configuration, slots: count, capacity: capacity, on: device)
        return (0..<count).map { DeviceCache(arena, slot: $0) }
    }

    package func run(_ batch: Batch) throws {
        for token in batch.tokens where token < 0 || Int(token) >= configuration.vocabSize {
            throw ModelError("token \(token) is outside the vocabulary of \(configuration.vocabSize) tokens")
        }
        let workspace = try workspace(rows: batch.count)
        let segments = PassSegment.segments(of: batch)
        try upload(batch, to: workspace)
        try encode(
            Pass(
                workspace: workspace, rows: batch.count, segments: segments, tokens: workspace.tokens.address,
                positions: workspace.positions.address, slots: workspace.slots.address, limit: batch.positionLimit))
        last = (workspace, batch.count)
        for run in batch.runs { run.cache.advance(by: run.count) }
    }

    private func upload(_ batch: Batch, to workspace: Workspace) throws(CUDAError) {
        var positions: [Int32] = []
        var slots: [Int32] = []
        for run in batch.runs {
            positions += (run.start..<run.start + run.count).map { Int32($0) }
            let slot = (run.cache as? DeviceCache)?.slot ?? 0
            slots += [Int32](repeating: Int32(slot), count: run.count)
        }
        try copy(batch.tokens, to: workspace.tokens)
        try copy(positions, to: workspace.positions)
        try copy(slots, to: workspace.slots)
    }

    /// Copies an array to the beginning of a window.
    func copy<Element: BitwiseCopyable>(_ elements: [Element], to view: DeviceView<Element>) throws(CUDAError) {
        try elements.withUnsafeBufferPointer { elements throws(CUDAError) in
            try stream.copy(elements, to: view[0..<elements.count])
        }
    }

    static func mostSequences(_ weights: DeviceWeights, hasLibrary: Bool) -> Int {
        hasLibrary && !weights.isPacked ? libraryRows : stepRows
    }

    /// Memory for the choice of tokens, made when it is first wanted, and again for more sequences than ever before.
    func choiceMemory(sequences: Int) throws(CUDAError) -> ChoiceMemory {
        if let choices, sequences <= choices.rows { return choices }
        let made = try ChoiceMemory(
            rows: max(sequences, Self.stepRows), vocabulary: configuration.vocabSize, in: stream)
        choices = made
        graphs = [:]
        return made
    }

    /// The memory for a pass of `rows` tokens.
    private func workspace(rows: Int) throws(CUDAError) -> Workspace {
        if rows <= mostSequences { return step }
        if let long, long.rows >= rows { return long }
        // What is there goes first, so that both need not fit.
        last = nil
        long = nil
        let grown = try Workspace(
            rows: max(rows, Self.plannedRows), configuration, weights, limits: longLimits, in: stream)
        long = grown
        return grown
    }

    private var longLimits: Workspace.Limits {
        Workspace.Limits(
            multiprocessors: device.info.multiprocessors, hasClusters: kernels.attentionDecodeCluster != nil,
            usesPacked: packedWidth > 0 && blas == nil, usesMatmul: false)
    }
}

extension DeviceWeights {
    /// Whether any matrix of a block is packed.
    var isPacked: Bool { layers.contains { $0.queryKeyValue.order != nil } }

    /// Bytes of weights that a decode step reads: all layers and the head.
    package var bytesPerToken: Int {
        layers.reduce(head.byteCount) { sum, layer in
            InputRole.allCases.reduce(sum) { $0 + layer[$1].byteCount }
        }
    }
}
