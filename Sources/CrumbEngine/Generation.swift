/// What a piece of text is generated with.
package struct GenerationOptions: Sendable {
    /// Tokens of the answer at most; nil goes on until the model ends it or the context is full.
    package var maxTokens: Int?
    /// Texts that end the answer and are not part of it.
    package var stopStrings: [String]
    package var sampling: SamplingOptions
    /// Goes on where the model would end, for measurements.
    package var ignoresEnd: Bool

    package init(
        maxTokens: Int? = nil, stopStrings: [String] = [], sampling: SamplingOptions = SamplingOptions(),
        ignoresEnd: Bool = false
    ) {
        self.maxTokens = maxTokens
        self.stopStrings = stopStrings
        self.sampling = sampling
        self.ignoresEnd = ignoresEnd
    }
}

/// Why an answer ended.
package enum FinishReason: String, Sendable {
    /// The model gave one of its end tokens.
    case endOfText = "stop"
    case stopString = "stop_string"
    case maxTokens = "length"
    case contextFull = "context"
    case cancelled = "cancelled"
}

/// A generated answer and what it cost.
package struct Generation: Sendable {
    package var text = ""
    /// The tokens of the answer, without the one that ended it.
    package var tokens: [Int32] = []
    package var finish = FinishReason.cancelled
    /// Tokens of the prompt.
    package var promptTokens = 0
    /// Of these, tokens that were in the cache already.
    package var reusedTokens = 0
    package var promptSeconds = 0.0
    /// Single-token passes that were run; the first token of an answer needs none.
    package var decodeSteps = 0
    package var decodeSeconds = 0.0
    /// What the random choices can be repeated with.
    package var seed: UInt64 = 0

    /// Tokens of the answer.
    package var generatedTokens: Int { tokens.count }
    /// Prompt tokens run in a second; 0 where none was.
    package var promptTokensPerSecond: Double {
        promptSeconds > 0 ? Double(promptTokens - reusedTokens) / promptSeconds : 0
    }
    /// Decode steps in a second; 0 where none was run.
    package var tokensPerSecond: Double { decodeSeconds > 0 ? Double(decodeSteps) / decodeSeconds : 0 }
}

/// The loop from a prompt to an answer, over any timeline and any decoder of tokens.
package struct GenerationLoop {
    /// Turns tokens into text, piece by piece.
    package struct TextDecoder {
        /// The text that a further token completes; never part of a character.
        package var next: (Int32) -> String
        /// The text that is left when no more tokens come.
        package var finish: () -> String

        package init(next: @escaping (Int32) -> String, finish: @escaping () -> String) {
            self.next = next
            self.finish = finish
        }
    }

    /// Tokens of one prefill pass: enough for matrix products to be limited by arithmetic, few enough that the scratch
    /// memory of a pass stays small beside the weights.
    package static let prefillBlock = 512

    /// Decode steps between two looks at the model's files: far less than a millisecond in several seconds.
    package static let stepsBetweenChecks = 64

    package let timeline: any Timeline
    package let endTokens: Set<Int32>
    /// Throws where the files that the weights are mapped from changed, so that touching them is unsafe.
    private let checkWeights: () throws -> Void

    /// - Parameter checkWeights: Called before each block of the prompt and every `stepsBetweenChecks` decode steps.
    package init(
        timeline: any Timeline, endTokens: Set<Int32>, checkWeights: @escaping () throws -> Void = {}
    ) {
        self.timeline = timeline
        self.endTokens = endTokens
        self.checkWeights = checkWeights
    }

    /// Continues `prompt` until something ends the answer.
    ///
    /// - Parameters:
    ///   - isCancelled: Asked before each pass.
    ///   - onText: Called with each piece of text that is certain to belong to the answer.
    /// - Throws: `EngineError` for options out of range, a prompt longer than the context, or broken logits; what
    ///   `checkWeights` throws.
    package func generate(
        _ prompt: [Int32], options: GenerationOptions, decoder: TextDecoder, isCancelled: () -> Bool = { false },
        onText: (String) throws -> Void = { _ in }
    ) throws -> Generation {
        if let maxTokens = options.maxTokens, maxTokens < 0 {
            throw EngineError("the number of tokens to generate is \(maxTokens), but must be 0 or more")
        }
        var sampler = try Sampler(options.sampling)
        var stops = StopScanner(options.stopStrings)
        var result = Generation()
        result.promptTokens = prompt.count
        result.seed = sampler.seed
        func emit(_ text: String) throws {
            if text.isEmpty { return }
            result.text += text
            try onText(text)
        }

        let clock = ContinuousClock()
        let start = clock.now
        guard
            let prefilled = try timeline.prefill(
                prompt, blockTokens: Self.prefillBlock,
                isCancelled: {
                    try checkWeights()
                    return isCancelled()
                })
        else { return result }
        result.promptSeconds = start.duration(to: clock.now).seconds
        result.reusedTokens = prefilled.reused
        sampler.observe(prompt)

        let decodeStart = clock.now
        var ahead: (any TokenRun)?
        defer { try? ahead?.stop() }
        // The first token is chosen here, the others by the decoder where it can.
        var chosen: Int32?
        while true {
            if let maxTokens = options.maxTokens, result.tokens.count >= maxTokens {
                result.finish = .maxTokens
                break
            }
            let token = try chosen ?? sampler.next(prefilled.logits)
            if endTokens.contains(token), !options.ignoresEnd {
                result.finish = .endOfText
                break
            }
            result.tokens.append(token)
            let (text, stopped) = stops.push(decoder.next(token))
            try emit(text)
            if stopped {
                result.finish = .stopString
                break
            }
            if options.maxTokens == result.tokens.count {
                result.finish = .maxTokens
                break
            }
            if timeline.tokens.count >= timeline.capacity {
                result.finish = .contextFull
                break
            }
            if isCancelled() { break }
            if (result.decodeSteps + 1).isMultiple(of: Self.stepsBetweenChecks) { try checkWeights() }
            if chosen == nil { ahead = try timeline.runAhead(from: token, choice: sampler.choice) }
            chosen = try ahead?.next() ?? sampler.next(timeline.append([token]))
            result.decodeSteps += 1
        }
        try ahead?.stop()
        result.decodeSeconds = decodeStart.duration(to: clock.now).seconds
        if result.finish != .stopString {
            let (text, stopped) = stops.push(decoder.finish())
            try emit(text)
            if stopped { result.finish = .stopString } else { try emit(stops.finish()) }
        }
        return result
    }
}

extension Duration {
    /// This many seconds.
    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
