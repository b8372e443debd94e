import CrumbABI
import CrumbCUDA
import CrumbModel

/// The rest of a step: attention, head and what stands between the products.
extension KernelTimer {
    /// attention_decode of one token in each of `rows` sequences that have `context` tokens, of one layer; rotation and
    /// append included. Sequences are rotated as weights are.
    package func attention(rows: Int, context: Int) throws -> KernelTiming {
        precondition((1...GPUDecoder.stepRows).contains(rows), "\(rows) sequences in a step")
        let sizes = gpu.configuration
        let capacity = context + 1
        // Keys and values, 2 bytes each.
        let bytes = rows * context * 4 * sizes.keyValueFeatures
        let groups = copies(of: bytes)
        let arena = try CacheArena(sizes, slots: groups * rows, capacity: capacity, layers: 1, on: gpu.device)
        try fillHalves(arena.layer(0).keys, count: groups * rows * 2 * sizes.keyValueFeatures * capacity)
        let slots = try gpu.stream.upload((0..<groups * rows).map { Int32($0) }, for: "the numbers of sequences")
        try gpu.copy([Int32](repeating: Int32(context), count: rows), to: workspace.positions)
        let linear = gpu.weights.layers[0].attentionOutput
        let addresses = slots.address
        let seconds = try time(rows: rows, copies: groups) { piece throws(CUDAError) in
            let pass = pass(
                rows, segments: [.steps(rows: 0..<rows, arena: arena)],
                slots: addresses + UInt64(4 * rows * (piece % groups)), limit: capacity)
            try gpu.attend(
                0, pass, bias: 0, into: gpu.inputPlace(linear, .attentionOutput, pass), order: linear.order)
        }
        return KernelTiming(
            kernel: "attention_decode", path: "head dimension \(sizes.headDim)", m: rows, n: sizes.queryFeatures,
            k: context, seconds: seconds, bytes: bytes, librarySeconds: nil)
    }

    /// rope_append and attention_prefill of a prompt of `rows` tokens in one layer.
    package func prefillAttention(rows: Int) throws -> [KernelTiming] {
        let sizes = gpu.configuration
        let arena = try CacheArena(sizes, slots: 1, capacity: rows, layers: 1, on: gpu.device)
        try arena.fill(in: gpu.stream)
        try gpu.copy((0..<rows).map { Int32($0) }, to: workspace.positions)
        let linear = gpu.weights.layers[0].attentionOutput
        let pass = pass(rows)
        let place = gpu.inputPlace(linear, .attentionOutput, pass)
        let layer = arena.layer(0)
        let rotation = try time(rows: rows, copies: 1) { _ throws(CUDAError) in
            try gpu.rotate(layer, 0..<rows, slot: 0, pass, bias: 0, isEarly: true)
        }
        let attention = try time(rows: rows, copies: 1) { _ throws(CUDAError) in
            try gpu.attendRotated(0, 0..<rows, 0, slot: 0, layer, pass, into: place)
        }
        return [
            warm("rope_append", gpu.kernels.ropeAppend, rows, n: gpu.projectedFeatures, rotation),
            warm("attention_prefill", gpu.kernels.attentionPrefill, rows, n: sizes.queryFeatures, k: rows, attention),
        ]
    }

    /// Final norm, head and the most likely token of each of `rows` sequences.
    package func head(rows: Int) throws -> KernelTiming {
        precondition((1...GPUDecoder.stepRows).contains(rows), "\(rows) sequences in a step")
        let memory = try gpu.choiceMemory(sequences: rows)
        try gpu.copy([Int32](repeating: 0, count: rows), to: memory.positions)
        try gpu.stream.fill(memory.steps)
        let heads = heads
        let seconds = try time(rows: rows, copies: heads.count) { piece throws(CUDAError) in
            try gpu.chooseTokens(
                memory, input: workspace, sequences: rows, isGreedy: true, table: heads[piece % heads.count])
        }
        let table = gpu.weights.head
        return KernelTiming(
            kernel: "head + argmax", path: "\(table.bits)-bit table", m: rows, n: table.rows, k: table.columns,
            seconds: seconds, bytes: table.byteCount,
            librarySeconds: try library(n: table.rows, k: table.columns, rows: rows))
    }

    /// The kernels between the products, as far as a pass of `rows` tokens has them.
    package func elementwise(rows: Int) throws -> [KernelTiming] {
        let pass = pass(rows)
        let layer = gpu.weights.layers[0]
        let hidden = gpu.configuration.hiddenSize
        let kernels = gpu.kernels
        var all: [KernelTiming] = []
        let embedding = try time(rows: rows, copies: 1) { _ throws(CUDAError) in try gpu.embed(pass) }
        all.append(warm("embed", kernels.embed, rows, n: hidden, embedding))
        // Else the norm is folded into the products, and SiLU with it.
        if let folded = gpu.foldedNorm(of: 0, .queryKeyValue, pass) {
            let seconds = try time(rows: rows, copies: 1) { _ throws(CUDAError) in
                var folded: GPUDecoder.FoldedNorm? = folded
                try gpu.foldStream(into: &folded, pass)
            }
            all.append(warm("stream_input", kernels.streamInput, rows, n: hidden, seconds))
        } else {
            let norm = try time(rows: rows, copies: 1) { _ throws(CUDAError) in
                try gpu.normalize(layer.inputNorm, order: layer.queryKeyValue.order, pass)
            }
            all.append(warm("rmsnorm", kernels.rmsnorm, rows, n: hidden, norm))
        }
        if gpu.foldedNorm(of: 0, .gateUp, pass) == nil {
            let target = gpu.inputPlace(layer.down, .down, pass)
            let silu = try time(rows: rows, copies: 1) { _ throws(CUDAError) in
                try gpu.multiplySilu(layer, bias: 0, into: target, pass)
            }
            all.append(
                warm("silu_multiply", kernels.siluMultiply, rows, n: gpu.configuration.intermediateSize, silu))
        }
        return all
    }

    /// What reads activations only.
    private func warm(
        _ name: String, _ kernel: Kernel, _ rows: Int, n: Int, k: Int? = nil, _ seconds: Double
    ) -> KernelTiming {
        KernelTiming(
            kernel: name, path: kernel.name, m: rows, n: n, k: k, seconds: seconds, bytes: nil, librarySeconds: nil)
    }
}
