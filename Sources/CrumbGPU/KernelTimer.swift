import CrumbABI
package import CrumbCUDA
package import CrumbModel

/// Times the kernels of a step one by one, on a decoder with random weights whose layers are the copies that are rotated.
package final class KernelTimer {
    package let gpu: GPUDecoder
    /// Tokens of a measurement at most.
    package let mostTokens: Int
    let options: KernelTimerOptions
    let workspace: Workspace
    /// Copies of the head.
    let heads: [DeviceTable]
    /// fp16 matrices for cuBLAS, one behind the other in copies, their input and their output; empty where it is not timed.
    let halves: DeviceBuffer<UInt16>
    let halfInput: DeviceBuffer<UInt16>
    let halfOutput: DeviceBuffer<UInt16>
    let random: RandomKernels
    private let headMemory: DeviceBuffer<UInt8>

    /// A decoder to time on: packed random weights, in as many layers as make every matrix's copies together larger than
    /// the second-level cache.
    ///
    /// - Parameter sizes: The model with so many layers.
    package static func decoder(
        _ sizes: (_ layers: Int) throws -> ModelConfiguration, _ options: RandomModelOptions = RandomModelOptions(),
        library: KernelLibrary, blas: CuBLASTable?
    ) throws -> GPUDecoder {
        let plan = try RandomPlan(sizes(1), options)
        guard let layer = plan.weights?.layers.first else { preconditionFailure("a plan that was not finished") }
        let smallest = InputRole.allCases.map { layer[$0].byteCount }.min() ?? 1
        // As many as configurations may have.
        let layers = min(copies(of: smallest, library.device.info), 1024)
        return try RandomModel.decoder(sizes(layers), options, library: library, blas: blas)
    }

    /// - Parameters:
    ///   - gpu: As `decoder` makes it.
    ///   - mostTokens: M of the largest product.
    ///   - mostContext: Positions of the longest attention.
    /// - Throws: `CUDAError` where memory is short, before anything runs.
    package init(
        _ gpu: GPUDecoder, mostTokens: Int, mostContext: Int, options: KernelTimerOptions = KernelTimerOptions()
    ) throws {
        precondition(mostTokens > 0, "no tokens to time with")
        let device = gpu.device
        let limits = Workspace.Limits(
            multiprocessors: device.info.multiprocessors, hasClusters: gpu.kernels.attentionDecodeCluster != nil,
            usesPacked: gpu.packedWidth > 0, usesMatmul: gpu.usesMatmul)
        let head = gpu.weights.head
        let headCopies = Self.copies(of: head.byteCount, device.info)
        var headLayout = SlabLayout()
        _ = Self.tables(head, headCopies, &headLayout)
        let half = Self.halfSizes(gpu, mostTokens: mostTokens, isCompared: options.comparesLibrary)
        let steps = min(mostTokens, GPUDecoder.stepRows)
        let cacheBytes = 4 * gpu.configuration.keyValueFeatures * (mostContext + 1)
        try device.require(
            bytes: Workspace.byteCount(rows: mostTokens, gpu.configuration, gpu.weights, limits: limits)
                + headLayout.byteCount + 2 * (half.weights + half.input + half.output)
                + steps * cacheBytes + Self.cacheMultiple * device.info.l2Bytes
                + 4 * GPUDecoder.stepRows * head.rows,
            for: "timing the kernels with up to \(mostTokens) tokens and a context of \(mostContext)")
        self.gpu = gpu
        self.mostTokens = mostTokens
        self.options = options
        workspace = try Workspace(
            rows: mostTokens, gpu.configuration, gpu.weights, limits: limits, in: gpu.stream)
        headMemory = try DeviceBuffer(count: headLayout.byteCount, on: device, for: "copies of the head")
        var placed = SlabLayout(base: headMemory.address)
        heads = Self.tables(head, headCopies, &placed)
        halves = try DeviceBuffer(count: half.weights, on: device, for: "fp16 matrices")
        halfInput = try DeviceBuffer(count: half.input, on: device, for: "the input of fp16 matrices")
        halfOutput = try DeviceBuffer(count: half.output, on: device, for: "the output of fp16 matrices")
        random = try RandomKernels(gpu.library)
        try fill()
    }

    /// Places for copies of a table.
    private static func tables(_ table: DeviceTable, _ count: Int, _ layout: inout SlabLayout) -> [DeviceTable] {
        (0..<count).map { _ in
            let numbers = table.rows * table.columns
            return DeviceTable(
                storage: table.storage, codes: layout.reserve(numbers * table.bits / 8),
                scales: table.scales == 0 ? 0 : layout.reserve(numbers / 16), rows: table.rows, columns: table.columns)
        }
    }

    /// Numbers of what cuBLAS multiplies.
    private static func halfSizes(
        _ gpu: GPUDecoder, mostTokens: Int, isCompared: Bool
    ) -> (weights: Int, input: Int, output: Int) {
        guard isCompared, gpu.blas != nil, let layer = gpu.weights.layers.first else { return (0, 0, 0) }
        let head = gpu.weights.head
        let linears = InputRole.allCases.map { layer[$0] }
        let shapes = linears.map { ($0.rows, $0.columns) } + [(head.rows, head.columns)]
        let weights = shapes.map { n, k in copies(of: 2 * n * k, gpu.device.info) * n * k }
        let steps = min(mostTokens, GPUDecoder.stepRows)
        return (
            weights.max() ?? 0, mostTokens * (shapes.map { $0.1 }.max() ?? 0),
            max(mostTokens * (linears.map(\.rows).max() ?? 0), steps * head.rows)
        )
    }
}

// MARK: contents

extension KernelTimer {
    /// Random numbers of about 1 wherever something is read: zeros would make the card's arithmetic cheaper.
    private func fill() throws {
        let sizes = gpu.configuration
        try fillFloats(workspace.stream, count: mostTokens * sizes.hiddenSize)
        try fillFloats(workspace.queriesKeysValues, count: mostTokens * gpu.projectedFeatures)
        try fillFloats(workspace.gateUp, count: mostTokens * 2 * sizes.intermediateSize)
        for layer in gpu.weights.layers.prefix(1) {
            let widest = max(layer.queryKeyValue.positions, layer.gateUp.positions)
            try fillHalves(workspace.normed, count: mostTokens * widest)
            try fillHalves(workspace.attended, count: mostTokens * layer.attentionOutput.positions)
            try fillHalves(workspace.activation, count: mostTokens * layer.down.positions)
            for role in [InputRole.attentionOutput, .down] where gpu.packedWidth > 0 {
                guard let order = layer[role].order else { continue }
                try fillHalves(workspace.input(role, order, width: 0), count: mostTokens * order.positions)
                let most = TokenFamily.matmul.width(for: mostTokens)
                for width in TokenFamily.matmul.widths where gpu.usesMatmul && width <= most {
                    try fillHalves(workspace.input(role, order, width: width), count: width * order.positions)
                }
            }
        }
        for table in heads {
            try random.run(
                .words(
                    crumb_random_words_args(
                        output: table.codes, count: UInt64(table.rows * table.columns * table.bits / 32), seed: 1)),
                in: gpu.stream)
            guard table.scales != 0 else { continue }
            try fillHalves(table.scales, count: table.rows * table.columns / 32, center: 0.0002, spread: 0.0001)
        }
        if halves.count > 0 {
            try fillHalves(halves.address, count: halves.count, spread: 0.03)
            try fillHalves(halfInput.address, count: halfInput.count)
        }
        let vocabulary = sizes.vocabSize
        try gpu.copy(
            (0..<mostTokens).map { Int32(truncatingIfNeeded: $0 &* 7919 % vocabulary) }, to: workspace.tokens)
        try gpu.stream.synchronize()
    }

    func fillHalves(
        _ address: UInt64, count: Int, center: Float = 0, spread: Float = 1.7
    ) throws(CUDAError) {
        try random.run(
            .halves(
                crumb_random_halves_args(
                    output: address, count: UInt64(count), seed: UInt64(count), center: center, spread: spread)),
            in: gpu.stream)
    }

    /// Numbers from the host, repeated on the card.
    private func fillFloats(_ address: UInt64, count: Int) throws(CUDAError) {
        var source = RandomStream(seed: UInt64(count))
        let first = (0..<min(count, 1 << 16)).map { _ in 1.7 * source.symmetric() }
        let all = DeviceView<Float>(address: address, count: count)
        try gpu.copy(first, to: all)
        var done = first.count
        while done < count {
            let more = min(done, count - done)
            try gpu.stream.copy(all[0..<more], to: all[done..<done + more])
            done += more
        }
    }

    /// A pass of the first rows of the workspace.
    func pass(_ rows: Int, segments: [PassSegment] = [], slots: UInt64? = nil, limit: Int = 0) -> Pass {
        precondition((1...mostTokens).contains(rows), "\(rows) tokens where \(mostTokens) are the most")
        return Pass(
            workspace: workspace, rows: rows, segments: segments, tokens: workspace.tokens.address,
            positions: workspace.positions.address, slots: slots ?? workspace.slots.address, limit: limit)
    }
}
