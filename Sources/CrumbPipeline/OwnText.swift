import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbTokenizer

/// Text that a model writes itself, at temperature 1: what it knows, in the proportions in which it says it (Liu et al.,
/// LLM-QAT, section 3.1).
///
/// Half of the texts go on from an excerpt of given text. Of the others, every second one begins as texts do, or with a random
/// ordinary token where nothing is put before texts; the rest, where the model has a chat template, with its opening of a
/// user's turn, so that the model writes both sides of a conversation (Xu et al., Magpie, arXiv 2406.08464).
///
/// SmolLM2-135M at 2.85 bits, half a million tokens and the built-in text, 600 steps, mean KL in nats on WikiText-2 and
/// on Python code: no excerpts 0.271 and 0.334, excerpts 0.270 and 0.324; at temperature 1.4 for half of the texts 0.293
/// and 0.365.
struct OwnText {
    private let source: LoadedModel
    private let length: Int
    private let seed: UInt64
    private let chatOpening: [Int32]
    private let given: [[Int32]]

    /// Keys and values of the sequences that are written side by side take at most so many bytes, or those of
    /// `fewestLanes` sequences.
    private static let cacheBytes = 8 << 30
    private static let fewestLanes = 64
    /// An opening that is longer leaves too little of a text.
    private static let longestOpening = 64
    /// Beginnings that are taken in by one pass.
    private static let openingsAtOnce = 16
    /// Tokens of an excerpt.
    private static let excerptTokens = 32

    /// - Parameters:
    ///   - length: Tokens of a text.
    ///   - given: Texts of as many tokens, to go on from parts of; may be none.
    init(source: LoadedModel, length: Int, seed: UInt64, given: [[Int32]]) {
        self.source = source
        self.length = length
        self.seed = seed
        self.given = given
        chatOpening = Self.chatOpening(source)
    }

    /// What stands before a user's words.
    private static func chatOpening(_ source: LoadedModel) -> [Int32] {
        let mark = "a place for words"
        guard source.chatTemplate != nil,
            let text = try? source.render([.object(["role": "user", "content": .string(mark)])]),
            let place = text.firstRange(of: mark)
        else { return [] }
        let tokens = source.encodeTemplated(String(text[..<place.lowerBound]))
        return tokens.count <= longestOpening ? tokens : []
    }

    /// Writes `count` texts.
    ///
    /// - Parameter progress: Called with the share that is written; what it throws stops.
    /// - Throws: `ModelError` where a logit is not finite, `CUDAError`.
    func write(_ count: Int, progress: (Double) throws -> Void) throws -> [[Int32]] {
        var texts: [[Int32]] = []
        let capacity = min(length + Self.longestOpening, source.configuration.maxPositionEmbeddings)
        let lanes = try min(lanes(capacity: capacity), count)
        let caches = try source.decoder.makeCaches(sequences: lanes, capacity: capacity)
        while texts.count < count {
            for cache in caches { cache.truncate(to: 0) }
            let first = texts.count
            let some = Array(caches.prefix(count - first))
            var written = some.indices.map { beginning(first + $0) }
            try open(written, some)
            let loop = try start(written, some, from: first)
            while written.contains(where: { $0.count < length }) {
                for (lane, token) in try loop.next().enumerated() { written[lane].append(token) }
                let done = written.map { min($0.count, length) }.reduce(0, +)
                try progress((Double(first) + Double(done) / Double(length)) / Double(count))
            }
            try loop.stop()
            try source.checkpoint.checkUnchanged()
            texts += written.map { Array($0.prefix(length)) }
        }
        return texts
    }

    /// Sequences that are written side by side: as many as a decode step takes and memory is planned for.
    private func lanes(capacity: Int) throws -> Int {
        let sizes = source.configuration
        // Keys and values, 2 bytes a number.
        let perLane = 2 * 2 * sizes.keyValueFeatures * sizes.numHiddenLayers * capacity
        return min(try decoder().mostSequences, max(Self.cacheBytes / max(perLane, 1), Self.fewestLanes))
    }

    private func decoder() throws -> any RunAheadDecoder {
        guard let decoder = source.decoder as? any RunAheadDecoder else { throw cannotWrite }
        return decoder
    }

    private var cannotWrite: PipelineError {
        PipelineError("\(source.decoder.name) cannot write text by itself; a GPU is needed")
    }

    private func beginning(_ index: Int) -> [Int32] {
        var random = RandomSource(seed: seed, stream: 2 * index)
        if index % 4 < 2, !given.isEmpty {
            let text = given[random.integer(below: given.count)]
            // A text's first token is what texts begin with.
            let start = 1 + random.integer(below: text.count - Self.excerptTokens)
            let excerpt = text[start..<start + Self.excerptTokens]
            return (source.beginningToken.map { [$0] } ?? []) + excerpt
        }
        guard index % 2 == 0 || chatOpening.isEmpty else { return chatOpening }
        let candidates = source.sequenceStarts.candidates
        return [candidates[random.integer(below: candidates.count)]]
    }

    /// Takes in all tokens of the beginnings but the last.
    private func open(_ beginnings: [[Int32]], _ caches: [any SequenceCache]) throws {
        let openings = zip(beginnings, caches).filter { $0.0.count > 1 }
        for first in stride(from: 0, to: openings.count, by: Self.openingsAtOnce) {
            let some = openings[first..<min(first + Self.openingsAtOnce, openings.count)]
            try source.decoder.run(Batch(some.map { (cache: $1, tokens: Array($0.dropLast()), logits: .none) }))
        }
    }

    private func start(
        _ beginnings: [[Int32]], _ caches: [any SequenceCache], from first: Int
    ) throws -> any RunAhead {
        let sequences = zip(beginnings, caches).enumerated().map { lane, pair in
            RunAheadSequence(
                cache: pair.1, token: pair.0[pair.0.count - 1],
                choice: TokenChoice(
                    temperature: 1, random: RandomSource(seed: seed, stream: 2 * (first + lane) + 1).words))
        }
        guard let loop = try decoder().runAhead(sequences) else { throw cannotWrite }
        return loop
    }
}
