import CrumbABI
import CrumbCUDA
package import CrumbModel

extension GPUDecoder: RunAheadDecoder {
    /// - Returns: nil for more than `mostSequences`, sequences of several arenas, or greedy and drawn ones together.
    package func runAhead(_ sequences: [RunAheadSequence]) throws -> (any RunAhead)? {
        let caches = sequences.compactMap { $0.cache as? DeviceCache }
        guard let first = sequences.first, let arena = caches.first?.arena, caches.count == sequences.count,
            sequences.count <= mostSequences, caches.allSatisfy({ $0.arena === arena }),
            sequences.allSatisfy({ $0.choice.isGreedy == first.choice.isGreedy })
        else { return nil }
        for sequence in sequences where sequence.token < 0 || Int(sequence.token) >= configuration.vocabSize {
            throw ModelError(
                "token \(sequence.token) is outside the vocabulary of \(configuration.vocabSize) tokens")
        }
        return try DecodeLoop(self, arena, caches, sequences)
    }
}

/// Decode steps that are launched ahead of the host: each takes in the tokens that the one before chose, and the host
/// reads them behind.
final class DecodeLoop: RunAhead {
    /// Steps that are launched before the token of the first is read: enough to hide the launch of a graph and the
    /// host's work on a token; as many are run in vain when an answer ends. Not tuned yet.
    static let ahead = 4

    private let decoder: GPUDecoder
    private let memory: ChoiceMemory
    private let graph: StepGraph
    private let caches: [DeviceCache]
    /// Steps there is room for.
    private let limit: Int
    private let marks: Marks
    private var launched = 0
    private var taken = 0
    private var isStopped = false

    init(
        _ decoder: GPUDecoder, _ arena: CacheArena, _ caches: [DeviceCache], _ sequences: [RunAheadSequence]
    ) throws(CUDAError) {
        self.decoder = decoder
        self.caches = caches
        let memory = try decoder.choiceMemory(sequences: sequences.count)
        self.memory = memory
        let isGreedy = sequences.allSatisfy(\.choice.isGreedy)
        graph = try decoder.stepGraph(memory, arena, sequences: sequences.count, isGreedy: isGreedy)
        limit = caches.map { $0.capacity - $0.length }.min() ?? 0
        marks = try Marks(on: decoder.device)
        // The ring is the host's again once nothing is under way.
        try decoder.stream.synchronize()
        memory.ring.elements.update(repeating: 0)
        try decoder.copy(sequences.map(\.token), to: memory.tokens)
        try decoder.copy(caches.map { Int32($0.length) }, to: memory.positions)
        try decoder.copy(caches.map { Int32($0.slot) }, to: memory.slots)
        try decoder.stream.fill(memory.steps)
        guard !isGreedy else { return }
        try decoder.copy(sequences.map { crumb_sampling($0.choice) }, to: memory.options)
        try decoder.copy(seenBits(sequences), to: memory.seen)
    }

    private func seenBits(_ sequences: [RunAheadSequence]) -> [UInt32] {
        var bits = [UInt32](repeating: 0, count: sequences.count * memory.seenWords)
        for (row, sequence) in sequences.enumerated() {
            for token in sequence.choice.seen where token >= 0 && Int(token) < 32 * memory.seenWords {
                bits[row * memory.seenWords + Int(token) / 32] |= 1 << UInt32(token % 32)
            }
        }
        return bits
    }

    func next() throws -> [Int32] {
        precondition(!isStopped, "a step of a loop that was stopped")
        precondition(taken < limit, "a step beyond the \(limit) positions there are")
        while launched < min(taken + 1 + Self.ahead, limit) {
            try graph.graph.launch(in: decoder.stream)
            launched += 1
            try marks.record(launched, in: decoder.stream)
        }
        let step = taken + 1
        try marks.wait(for: step)
        let tokens = try caches.indices.map { row throws(ModelError) in
            guard let token = memory.chosen(step: step, sequence: row, of: caches.count) else {
                throw ModelError(
                    "the GPU gave no token in step \(step) of sequence \(row); run crumb doctor and report this")
            }
            guard token != Int32(CRUMB_TOKEN_BROKEN) else {
                throw ModelError(
                    "a logit of the token at position \(caches[row].length + 1) is NaN or infinite: the weights or the "
                        + "arithmetic of this model are broken")
            }
            return token
        }
        taken = step
        for cache in caches { cache.advance(by: 1) }
        return tokens
    }

    func stop() throws {
        guard !isStopped else { return }
        isStopped = true
        try decoder.stream.synchronize()
    }

    deinit { try? stop() }
}

/// Events behind the steps that are under way.
private final class Marks {
    private let marks: [Mark]

    /// Events have one owner, so they lie in an array by their boxes.
    private final class Mark {
        let event: Event
        init(on device: Device) throws(CUDAError) { event = try Event(on: device) }
    }

    init(on device: Device) throws(CUDAError) {
        var marks: [Mark] = []
        for _ in 0..<ChoiceMemory.ringSteps { marks.append(try Mark(on: device)) }
        self.marks = marks
    }

    func record(_ step: Int, in stream: borrowing Stream) throws(CUDAError) {
        try marks[step % marks.count].event.record(in: stream)
    }

    func wait(for step: Int) throws(CUDAError) { try marks[step % marks.count].event.synchronize() }
}

extension crumb_sampling {
    /// How the device is to choose.
    init(_ choice: TokenChoice) {
        self.init(
            inverse_temperature: choice.temperature == 0 ? 0 : 1 / choice.temperature, top_p: choice.topP,
            min_p: choice.minP, repetition_penalty: Float(choice.repetitionPenalty),
            top_k: Int32(clamping: choice.topK),
            random: (choice.random[0], choice.random[1], choice.random[2], choice.random[3]))
    }
}
