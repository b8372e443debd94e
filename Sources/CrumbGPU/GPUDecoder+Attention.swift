import CrumbABI
import CrumbCUDA
import CrumbModel

/// Rotation, cache and attention of a block.
extension GPUDecoder {
    /// Attention of all rows, into the input of o.
    ///
    /// - Parameters:
    ///   - bias: of q, k and v where their product has not added it, else 0.
    ///   - order: of o's channels; nil for the source's.
    func attend(
        _ index: Int, _ pass: Pass, bias: UInt64, into target: InputPlace, order: DeviceOrder?
    ) throws(CUDAError) {
        // Attention leaves padding positions alone; inputs of packed products were zeroed once.
        let fills = order?.padding.isEmpty == false && target.address == pass.workspace.attended
        // Only behind a kernel may a kernel start early.
        var isEarly = !fills
        if fills {
            try stream.fill(DeviceView<UInt16>(address: target.address, count: pass.rows * target.stride))
        }
        for segment in pass.segments {
            switch segment {
            case .steps(let rows, let arena):
                try attendSteps(index, rows, arena, pass, bias: bias, into: target, isEarly: isEarly)
            case .run(let rows, let start, let cache):
                try attendRun(index, rows, start, cache, pass, bias: bias, into: target, isEarly: isEarly)
            }
            isEarly = true
        }
    }

    /// Numbers of one token's q, k and v.
    var projectedFeatures: Int { configuration.queryFeatures + 2 * configuration.keyValueFeatures }

    /// One token in each of several sequences.
    private func attendSteps(
        _ index: Int, _ rows: Range<Int>, _ arena: CacheArena, _ pass: Pass, bias: UInt64, into target: InputPlace,
        isEarly: Bool
    ) throws(CUDAError) {
        let heads = KVBlocks(configuration).count
        let splits = AttentionSplits(
            blocks: rows.count * heads, limit: pass.limit, multiprocessors: device.info.multiprocessors,
            hasClusters: kernels.attentionDecodeCluster != nil)
        let first = rows.lowerBound
        let workspace = pass.workspace
        let arguments = crumb_attention_decode_args(
            qkv: workspace.queriesKeysValues + UInt64(4 * first * projectedFeatures), bias: bias,
            frequencies: weights.frequencies, positions: pass.positions + UInt64(4 * first),
            slots: pass.slots + UInt64(4 * first), places: target.places,
            output: target.address, partials: workspace.partials,
            arrivals: workspace.arrivals, cache: arena.layer(index), heads: UInt32(configuration.numAttentionHeads),
            half_input: 0, output_stride: UInt32(target.stride), window: UInt32(weights.layers[index].window),
            output_width: UInt32(target.width), first_row: UInt32(first))
        let cluster = splits.usesClusters ? kernels.attentionDecodeCluster : nil
        // The cluster kernel has its extent compiled in.
        try (cluster ?? kernels.attentionDecode).launch(
            grid: LaunchExtent(splits.count, heads, rows.count), block: LaunchExtent(Int(CRUMB_DECODE_THREADS)),
            stream: stream, arguments: arguments, programmatic: isEarly)
    }

    /// Several tokens of one sequence.
    private func attendRun(
        _ index: Int, _ rows: Range<Int>, _ start: Int, _ cache: DeviceCache, _ pass: Pass, bias: UInt64,
        into target: InputPlace, isEarly: Bool
    ) throws(CUDAError) {
        let layer = cache.arena.layer(index)
        try rotate(layer, rows, slot: cache.slot, pass, bias: bias, isEarly: isEarly)
        try attendRotated(index, rows, start, slot: cache.slot, layer, pass, into: target)
    }

    /// Rotates queries and keys of a run, and appends keys and values to a layer's cache.
    func rotate(
        _ layer: crumb_kv_layer, _ rows: Range<Int>, slot: Int, _ pass: Pass, bias: UInt64, isEarly: Bool
    ) throws(CUDAError) {
        let (first, head) = (rows.lowerBound, configuration.headDim)
        let workspace = pass.workspace
        try kernels.ropeAppend.launch(
            grid: LaunchExtent(rows.count), block: LaunchExtent(Int(CRUMB_ROPE_THREADS)),
            sharedBytes: StepKernels.ropeSharedBytes(head), stream: stream,
            arguments: crumb_rope_append_args(
                qkv: workspace.queriesKeysValues + UInt64(4 * first * projectedFeatures), bias: bias,
                frequencies: weights.frequencies, positions: pass.positions + UInt64(4 * first), slots: 0,
                queries: queries(first, pass), cache: layer, heads: UInt32(configuration.numAttentionHeads),
                head_dim: UInt32(head), half_input: 0, slot: UInt32(slot)),
            programmatic: isEarly)
    }

    /// Attention of a run behind `rotate`.
    func attendRotated(
        _ index: Int, _ rows: Range<Int>, _ start: Int, slot: Int, _ layer: crumb_kv_layer, _ pass: Pass,
        into target: InputPlace
    ) throws(CUDAError) {
        let (first, head) = (rows.lowerBound, configuration.headDim)
        let block = Int(CRUMB_PREFILL_QUERIES)
        try kernels.attentionPrefill.launch(
            grid: LaunchExtent((rows.count + block - 1) / block, configuration.numAttentionHeads),
            block: LaunchExtent(Int(CRUMB_PREFILL_THREADS)), sharedBytes: StepKernels.prefillSharedBytes(head),
            stream: stream,
            arguments: crumb_attention_prefill_args(
                queries: queries(first, pass), places: target.places, output: target.address, cache: layer,
                heads: UInt32(configuration.numAttentionHeads), tokens: UInt32(rows.count), start: UInt32(start),
                slot: UInt32(slot), output_stride: UInt32(target.stride),
                window: UInt32(weights.layers[index].window), output_width: UInt32(target.width),
                first_row: UInt32(first)),
            programmatic: true)
    }

    /// Where the rotated queries of a row and those behind it lie.
    private func queries(_ row: Int, _ pass: Pass) -> UInt64 {
        pass.workspace.queries + UInt64(2 * row * configuration.queryFeatures)
    }
}
