import CrumbCUDA
package import CrumbGPU
import CrumbModel

/// Speed of a decoder on a GPU at several batch sizes, and what the card takes for it.
package struct ShapeBenchmark: Sendable {
    package struct Options: Sendable {
        /// Sequences that are decoded side by side, one row for each number.
        package var batches: [Int]
        /// Tokens that each sequence has before the first step.
        package var context: Int
        /// Steps of a repetition; 0 leaves decoding out.
        package var steps: Int
        /// Tokens of a prompt; 0 leaves it out.
        package var promptTokens: Int
        package var repetitions: Int
        /// Seconds that energy is counted over, at least: the card updates its counter ten times a second or so.
        package var energySeconds: Double

        package init(
            batches: [Int] = [1, 8, 16, 64], context: Int = 256, steps: Int = 128, promptTokens: Int = 512,
            repetitions: Int = 5, energySeconds: Double = 2
        ) {
            self.batches = batches
            self.context = context
            self.steps = steps
            self.promptTokens = promptTokens
            self.repetitions = repetitions
            self.energySeconds = energySeconds
        }
    }

    /// Medians of one test's repetitions.
    package struct Result: Sendable {
        /// "pp512", "tg128".
        package let test: String
        /// Sequences side by side.
        package let batch: Int
        /// Tokens of a step, or of the prompt.
        package let tokens: Int
        /// Of a step until its tokens are on the host; of a prompt on the card.
        package let seconds: Double
        /// Of a step or prompt by the card's clock alone.
        package let deviceSeconds: Double
        /// Bytes that one step must read; nil for prompts, where a block of tokens shares the reads.
        package let bytesPerStep: Int?
        /// nil where the card does not tell.
        package let joulesPerToken: Double?

        package var tokensPerSecond: Double { seconds > 0 ? Double(tokens) / seconds : 0 }
        package var bytesPerToken: Double? { bytesPerStep.map { Double($0) / Double(tokens) } }
        package var bytesPerSecond: Double? { bytesPerStep.map { seconds > 0 ? Double($0) / seconds : 0 } }
    }

    package let results: [Result]
    /// Card and kernels.
    package let device: String
    package let kernels: String
    /// The image that serves the card: "sm_90a".
    package let image: String

    /// Runs the tests.
    ///
    /// - Parameters:
    ///   - energy: Millijoules that the card has taken since some time; nil where it does not tell.
    ///   - progress: Called before each test with what is done next and the share that is done.
    /// - Throws: `EvaluationError` for options out of range; `CUDAError` where memory is short, before anything runs, or
    ///   the card fails.
    package static func measure(
        _ gpu: GPUDecoder, options: Options = Options(), energy: @escaping () -> UInt64? = { nil },
        progress: (_ next: String, _ fraction: Double) throws -> Void = { _, _ in }
    ) throws -> ShapeBenchmark {
        try check(gpu, options)
        let meter = EnergyMeter(seconds: options.energySeconds, energy: energy)
        let batches = options.steps > 0 ? options.batches : []
        let count = Double(batches.count + (options.promptTokens > 0 ? 1 : 0))
        var results: [Result] = []
        if options.promptTokens > 0 {
            let test = "pp\(options.promptTokens)"
            try progress(test, 0)
            results.append(try prefill(gpu, test, options, meter))
        }
        for batch in batches {
            let test = "tg\(options.steps)"
            try progress("\(test), batch \(batch)", Double(results.count) / count)
            results.append(try decode(gpu, test, batch, options, meter))
        }
        return ShapeBenchmark(
            results: results, device: gpu.device.label, kernels: gpu.kernelsName, image: gpu.imageName)
    }

    private static func check(_ gpu: GPUDecoder, _ options: Options) throws {
        let sizes = gpu.configuration
        let limit = sizes.maxPositionEmbeddings
        guard options.context >= 0, options.steps >= 0, options.promptTokens >= 0, options.repetitions >= 1,
            options.batches.allSatisfy({ (1...GPUDecoder.stepRows).contains($0) }),
            max(options.context, options.steps, options.promptTokens) <= limit,
            options.context + options.steps <= limit
        else {
            throw EvaluationError(
                "a benchmark of \(options.steps) steps at a context of \(options.context) tokens, prompts of "
                    + "\(options.promptTokens) and batches of \(options.batches) does not fit: tokens go from 0 to the "
                    + "model's context of \(limit), batches from 1 to \(GPUDecoder.stepRows), repetitions from 1")
        }
        let most = options.steps > 0 ? options.batches.max() ?? 0 : 0
        // fp16 keys and values of all layers.
        let position = 2 * 2 * sizes.numHiddenLayers * sizes.keyValueFeatures
        try gpu.device.require(
            bytes: most * (options.context + options.steps) * position,
            for: "the cache of \(most) sequences of \(options.context + options.steps) positions")
    }

    private static func prefill(
        _ gpu: GPUDecoder, _ test: String, _ options: Options, _ meter: EnergyMeter
    ) throws -> Result {
        let tokens = options.promptTokens
        let timing = try gpu.timePrefill(tokens: tokens, repetitions: options.repetitions)
        let seconds = StepTiming.median(timing.deviceSeconds)
        let joules = try meter.joules(repetitionSeconds: seconds) { repetitions in
            _ = try gpu.timePrefill(tokens: tokens, repetitions: repetitions)
            // One more is run first.
            return (repetitions + 1) * tokens
        }
        return Result(
            test: test, batch: 1, tokens: tokens, seconds: seconds, deviceSeconds: seconds, bytesPerStep: nil,
            joulesPerToken: joules)
    }

    private static func decode(
        _ gpu: GPUDecoder, _ test: String, _ batch: Int, _ options: Options, _ meter: EnergyMeter
    ) throws -> Result {
        func time(_ repetitions: Int) throws -> StepTiming {
            try gpu.timeSteps(
                sequences: batch, context: options.context, steps: options.steps, repetitions: repetitions)
        }
        let timing = try time(options.repetitions)
        let seconds = StepTiming.median(timing.hostSeconds)
        // A repetition runs its steps twice, once by the card's clock and once by the host's.
        let stepsOfRepetition = 2 * options.steps
        let joules = try meter.joules(repetitionSeconds: seconds * Double(stepsOfRepetition)) { repetitions in
            _ = try time(repetitions)
            return (repetitions + 1) * stepsOfRepetition * batch
        }
        return Result(
            test: test, batch: batch, tokens: batch, seconds: seconds,
            deviceSeconds: StepTiming.median(timing.deviceSeconds), bytesPerStep: timing.bytes, joulesPerToken: joules)
    }
}

/// Counts the energy of work that is repeated until the card's counter has moved often enough.
private struct EnergyMeter {
    let seconds: Double
    let energy: () -> UInt64?

    /// Joules for each token; nil where the card does not tell.
    ///
    /// - Parameter work: Runs so many repetitions, and gives the tokens that were run in all.
    func joules(repetitionSeconds: Double, _ work: (_ repetitions: Int) throws -> Int) throws -> Double? {
        guard energy() != nil else { return nil }
        let wanted = repetitionSeconds > 0 ? (seconds / repetitionSeconds).rounded(.up) : 1
        // Bounded, for clocks that hardly move.
        let repetitions = Int(min(max(wanted, 1), 100_000))
        guard let before = energy() else { return nil }
        let tokens = try work(repetitions)
        guard let after = energy(), after > before, tokens > 0 else { return nil }
        return Double(after - before) / 1000 / Double(tokens)
    }
}
