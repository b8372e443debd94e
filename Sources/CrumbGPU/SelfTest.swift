package import CrumbCUDA
import CrumbModel
import CrumbTensor
package import CrumbThreads

/// Whether a card does what the CPU does: copies, and every step of small models with random weights.
package struct SelfTest {
    /// One thing that was tested.
    package struct Check: Sendable {
        package let name: String
        package let isPassed: Bool
        /// What was measured, or the sentence of what went wrong.
        package let detail: String

        package init(name: String, isPassed: Bool, detail: String) {
            self.name = name
            self.isPassed = isPassed
            self.detail = detail
        }
    }

    private let library: KernelLibrary
    private let blas: CuBLASTable?
    private let pool: ThreadPool

    /// - Parameter blas: nil leaves products by cuBLAS out.
    package init(library: KernelLibrary, blas: CuBLASTable?, pool: ThreadPool) {
        self.library = library
        self.blas = blas
        self.pool = pool
    }

    /// Passes whose logits are compared: one token, a few, as many as each packed product takes, more than the small
    /// workspace has, and steps again.
    package static let passes = [1, 3, 8, 13, 70, 20, 40, 1, 1, 2].enumerated().map {
        SmallModel.randomTokens($1, seed: UInt64($0))
    }

    /// Every form of weights, every head dimension that attention is compiled for, heads in groups of 1 to 9.
    package static let models: [SmallModel] = [
        SmallModel(), SmallModel(segments: 2, headBits: 4), SmallModel(headBits: 16, tied: false, hasBiases: true),
        SmallModel(window: 5),
        SmallModel(segments: 2).sized(hidden: 160, intermediate: 328, heads: 4, keyValueHeads: 1, headDim: 64),
        SmallModel(hasBiases: true).sized(hidden: 128, intermediate: 264, heads: 3, keyValueHeads: 3, headDim: 80),
        SmallModel(headBits: 4).sized(hidden: 96, intermediate: 176, heads: 9, keyValueHeads: 1, headDim: 96),
        SmallModel(segments: 4).sized(hidden: 256, intermediate: 688, heads: 8, keyValueHeads: 1, headDim: 128),
        // Sizes that also the products without cuBLAS serve.
        SmallModel(isPacked: false, headBits: 16, hasBiases: true, type: .f16)
            .sized(hidden: 96, intermediate: 192, heads: 6, keyValueHeads: 2, headDim: 32),
        SmallModel(isPacked: false, headBits: 16, tied: false, type: .bf16)
            .sized(hidden: 256, intermediate: 704, heads: 4, keyValueHeads: 2, headDim: 64),
        SmallModel(isPacked: false, headBits: 16, type: .f32)
            .sized(hidden: 128, intermediate: 352, heads: 4, keyValueHeads: 4, headDim: 128),
    ]

    /// Long enough that work is cut between blocks.
    package static let wideModels: [SmallModel] = [
        SmallModel().sized(hidden: 1024, intermediate: 2816, heads: 8, keyValueHeads: 4, headDim: 128, layers: 1),
        SmallModel(isPacked: false, headBits: 16, type: .f16)
            .sized(hidden: 1024, intermediate: 2816, heads: 8, keyValueHeads: 4, headDim: 128, layers: 1),
    ]

    /// Bytes of the copies: below, at and above the sizes that hardware moves at once, and more than is staged at once.
    package static let copySizes = [1, 3, 17, 255, 4097, 65_537, 1_048_579, 20_000_003]

    private typealias Work = (name: String, run: () throws -> (isPassed: Bool, detail: String))

    /// Tests one thing after another. What fails does not stop the rest, unless the card is out of use by it.
    ///
    /// - Parameter progress: Called before each test with its name and the share that is done.
    package func run(
        models: [SmallModel] = SelfTest.models + SelfTest.wideModels,
        progress: (_ name: String, _ fraction: Double) throws -> Void
    ) rethrows -> [Check] {
        var all: [Work] = Self.copySizes.map { bytes in ("copies of \(bytes) bytes", { try copies(bytes) }) }
        all += models.map { model in ("logits: \(model)", { try logits(model, blas: blas) }) }
        all.append(
            ("logits without cuBLAS", { try logits(SmallModel(segments: 2, hasBiases: true), blas: nil) }))
        all += [1, 5, 16].map { count in
            ("tokens chosen in \(count) sequences", { try chosenTokens(SmallModel(), sequences: count) })
        }
        if blas != nil {
            let model = SmallModel(isPacked: false, headBits: 16, type: .f16)
            all.append(("tokens chosen in 80 sequences", { try chosenTokens(model, sequences: 80) }))
        }
        all.append(("weights made on the card", { try randomWeights() }))
        var checks: [Check] = []
        for (index, work) in all.enumerated() {
            try progress(work.name, Double(index) / Double(all.count))
            let (check, isOver) = perform(work)
            checks.append(check)
            if isOver { break }
        }
        return checks
    }

    /// A test's result, and whether none can follow.
    private func perform(_ work: Work) -> (check: Check, isOver: Bool) {
        do {
            let result = try work.run()
            return (Check(name: work.name, isPassed: result.isPassed, detail: result.detail), false)
        } catch {
            let kind = (error as? CUDAError)?.kind
            return (
                Check(name: work.name, isPassed: false, detail: "\(error)"), kind == .fault || kind == .lost
            )
        }
    }
}

// MARK: the tests

extension SelfTest {
    /// To the card, from there to another place on it, and back: by ordinary and by pinned memory.
    private func copies(_ count: Int) throws -> (Bool, String) {
        let device = library.device
        let stream = try Stream(on: device)
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 8) }
        let first = try stream.upload(bytes, for: "a copy")
        let second = try DeviceBuffer<UInt8>(count: count, on: device, for: "a copy")
        try stream.copy(first.view, to: second.view)
        let isSame = try stream.download(second.view) == bytes
        let pinned = try PinnedBuffer<UInt8>(count: 2 * count, on: device, for: "a copy")
        let (source, target) = (
            UnsafeMutableBufferPointer(rebasing: pinned.elements[0..<count]),
            UnsafeMutableBufferPointer(rebasing: pinned.elements[count..<2 * count])
        )
        for (index, byte) in bytes.enumerated() { source[index] = ~byte }
        try stream.copy(UnsafeBufferPointer(source), to: first.view)
        try stream.copy(first.view, to: target)
        try stream.synchronize()
        let isSamePinned = target.elementsEqual(source)
        return (isSame && isSamePinned, isSame && isSamePinned ? "the same bytes" : "other bytes came back")
    }

    private func logits(_ model: SmallModel, blas: CuBLASTable?) throws -> (Bool, String) {
        let pair = try ModelPair(model, library: library, blas: blas, pool: pool)
        return compared(try pair.difference(Self.passes))
    }

    /// The most likely tokens; drawing from the most likely one alone must give the same.
    private func chosenTokens(_ model: SmallModel, sequences: Int) throws -> (Bool, String) {
        let pair = try ModelPair(model, library: library, blas: blas, pool: pool)
        let greedy = try pair.chosenTokens(sequences: sequences, steps: 40)
        let drawn = try pair.chosenTokens(
            sequences: sequences, steps: 40, choice: TokenChoice(temperature: 1, topK: 1))
        guard greedy == drawn else { return (false, "a choice among one token is another than the greedy one") }
        // Both logits may be off by the bound.
        return compared(try pair.largestDistanceFromTop(greedy) / 2)
    }

    private func randomWeights() throws -> (Bool, String) {
        for isPacked in [true, false] {
            let gpu = try RandomModel.decoder(
                SmallModel().configuration(), RandomModelOptions(isPacked: isPacked, outliersPerTile: 3),
                library: library, blas: blas)
            let tokens = SmallModel.randomTokens(20, seed: 1)
            let logits = try gpu.logits(for: Batch(tokens, cache: gpu.makeCache(capacity: 20), logits: .all)).array
            let power = logits.reduce(0) { $0 + $1 * $1 } / Float(logits.count)
            guard logits.allSatisfy(\.isFinite), (0.2...5).contains(power) else {
                return (false, "the logits' mean square is \(power), not about 1")
            }
        }
        return (true, "logits of about 1")
    }

    private func compared(_ difference: Float) -> (Bool, String) {
        (
            difference < ModelPair.bound,
            "largest difference \(difference) of the logits' range, bound \(ModelPair.bound)"
        )
    }
}
