import CrumbABI
import CrumbCUDA
import CrumbModel

/// Device memory for the choice of tokens of up to `rows` sequences, where everything lies that changes from step to
/// step. Addresses never change, so that a recorded step serves every answer.
final class ChoiceMemory {
    /// Steps that the ring of chosen tokens holds; more than are ever under way.
    static let ringSteps = 16

    let rows: Int
    /// [ringSteps][sequences]: step (from 1) << 32 | token, written by the card.
    let ring: PinnedBuffer<UInt64>
    let tokens: DeviceView<Int32>
    let positions: DeviceView<Int32>
    let slots: DeviceView<Int32>
    let steps: DeviceView<UInt32>
    let best: DeviceView<UInt64>
    let arrivals: DeviceView<UInt32>
    let options: DeviceView<crumb_sampling>
    /// A bit for each token of the vocabulary, [rows][seenWords].
    let seen: DeviceView<UInt32>
    let seenWords: Int
    /// fp32 [rows][vocabulary].
    let logits: UInt64
    private let memory: DeviceBuffer<UInt8>

    init(rows: Int, vocabulary: Int, in stream: borrowing Stream) throws(CUDAError) {
        let words = (vocabulary + 31) / 32
        func lay(_ layout: inout SlabLayout) -> [UInt64] {
            [
                layout.reserve(rows, of: Int32.self), layout.reserve(rows, of: Int32.self),
                layout.reserve(rows, of: Int32.self), layout.reserve(rows, of: UInt32.self),
                layout.reserve(rows, of: UInt64.self), layout.reserve(rows, of: UInt32.self),
                layout.reserve(rows, of: crumb_sampling.self), layout.reserve(rows * words, of: UInt32.self),
                layout.reserve(rows * vocabulary, of: Float.self),
            ]
        }
        let memory = try DeviceBuffer<UInt8>(
            count: SlabLayout.byteCount(lay), on: stream.device, for: "the choice of tokens")
        try stream.fill(memory.view)
        var layout = SlabLayout(base: memory.address)
        let places = lay(&layout)
        self.rows = rows
        seenWords = words
        ring = try PinnedBuffer(count: Self.ringSteps * rows, on: stream.device, for: "chosen tokens")
        tokens = DeviceView(address: places[0], count: rows)
        positions = DeviceView(address: places[1], count: rows)
        slots = DeviceView(address: places[2], count: rows)
        steps = DeviceView(address: places[3], count: rows)
        best = DeviceView(address: places[4], count: rows)
        arrivals = DeviceView(address: places[5], count: rows)
        options = DeviceView(address: places[6], count: rows)
        seen = DeviceView(address: places[7], count: rows * words)
        logits = places[8]
        self.memory = memory
    }

    /// As kernels take it, for a step of so many sequences. Pinned memory has the same address on host and card.
    func choice(sequences: Int) -> crumb_choice {
        crumb_choice(
            tokens: tokens.address, positions: positions.address, steps: steps.address,
            ring: UInt64(UInt(bitPattern: ring.elements.baseAddress)), best: best.address, arrivals: arrivals.address,
            ring_steps: UInt32(Self.ringSteps), tokens_count: UInt32(sequences))
    }

    /// The token that step `step` (from 1) chose for a sequence, once that step has run; nil where it is not there.
    func chosen(step: Int, sequence: Int, of sequences: Int) -> Int32? {
        let entry = ring.elements[(step - 1) % Self.ringSteps * sequences + sequence]
        return entry >> 32 == UInt64(step) ? Int32(truncatingIfNeeded: entry) : nil
    }
}

/// A recorded step. It does not keep the arena whose addresses it has; who launches it does.
final class StepGraph {
    let graph: Graph

    init(_ graph: consuming Graph) { self.graph = graph }

    /// What a recording depends on.
    struct Key: Hashable {
        /// Of an arena.
        let arena: Int
        let sequences: Int
        let isGreedy: Bool
    }
}

extension GPUDecoder {
    /// One whole decode step: the last tokens taken in, the next ones chosen.
    func encodeStep(_ memory: ChoiceMemory, _ arena: CacheArena, sequences: Int, isGreedy: Bool) throws(CUDAError) {
        let pass = Pass(
            workspace: step, rows: sequences, segments: [.steps(rows: 0..<sequences, arena: arena)],
            tokens: memory.tokens.address, positions: memory.positions.address, slots: memory.slots.address,
            limit: arena.capacity)
        try encode(pass)
        try chooseTokens(memory, input: step, sequences: sequences, isGreedy: isGreedy)
    }

    /// Head and choice behind a step.
    ///
    /// - Parameter table: Taken in place of the model's head, for measurements.
    func chooseTokens(
        _ memory: ChoiceMemory, input: Workspace, sequences: Int, isGreedy: Bool, table: DeviceTable? = nil
    ) throws(CUDAError) {
        let choice = memory.choice(sequences: sequences)
        let isChosen = try head(
            table, input: input.stream, rows: sequences, normed: input.normed, output: memory.logits,
            choice: isGreedy ? choice : nil)
        if isChosen { return }
        let vocabulary = UInt32(configuration.vocabSize)
        if isGreedy {
            // 32 blocks are enough for 32000 logits.
            try kernels.argmax.launch(
                grid: LaunchExtent(max(configuration.vocabSize / 1024, 1), sequences),
                block: LaunchExtent(Int(CRUMB_ARGMAX_THREADS)), stream: stream,
                arguments: crumb_argmax_args(
                    logits: memory.logits, vocabulary: vocabulary, reserved: 0, choice: choice),
                programmatic: true)
        } else {
            try kernels.sample.launch(
                grid: LaunchExtent(sequences), block: LaunchExtent(Int(CRUMB_SAMPLE_THREADS)), stream: stream,
                arguments: crumb_sample_args(
                    logits: memory.logits, options: memory.options.address, seen: memory.seen.address,
                    vocabulary: vocabulary, reserved: 0, choice: choice),
                programmatic: true)
        }
    }

    /// The recorded step for so many sequences of an arena.
    func stepGraph(
        _ memory: ChoiceMemory, _ arena: CacheArena, sequences: Int, isGreedy: Bool
    ) throws(CUDAError) -> StepGraph {
        let key = StepGraph.Key(arena: arena.id, sequences: sequences, isGreedy: isGreedy)
        if let known = graphs[key] { return known }
        // Once without recording and with every row idle: libraries load what they need on the first call, which they
        // must not do in a recording.
        try copy([Int32](repeating: -1, count: sequences), to: memory.positions)
        try encodeStep(memory, arena, sequences: sequences, isGreedy: isGreedy)
        try stream.synchronize()
        let graph = try stream.capture { () throws(CUDAError) in
            try encodeStep(memory, arena, sequences: sequences, isGreedy: isGreedy)
        }
        try graph.upload(in: stream)
        // Of the arenas before, most are gone.
        graphs = graphs.filter { $0.key.arena == key.arena }
        let recorded = StepGraph(graph)
        graphs[key] = recorded
        return recorded
    }
}
