package import CrumbJSON

/// How the next token is chosen from the logits; `Sampler` describes the steps and their order.
package struct SamplingOptions: Sendable, Equatable {
    /// Divides the logits; 0 takes the most likely token.
    package var temperature: Double
    /// Keeps the k most likely tokens; 0 keeps all.
    package var topK: Int
    /// Keeps the fewest most likely tokens whose probabilities reach this sum; 1 keeps all.
    package var topP: Double
    /// Keeps the tokens at least this share as likely as the most likely one; 0 keeps all.
    package var minP: Double
    /// Makes tokens of prompt and answer less likely; 1 leaves them alone.
    package var repetitionPenalty: Double
    /// Fixes the random choices; nil takes one from the system.
    package var seed: UInt64?

    /// What is used where neither the user nor the model says otherwise.
    package init(
        temperature: Double = 0.8, topK: Int = 40, topP: Double = 0.95, minP: Double = 0.05,
        repetitionPenalty: Double = 1, seed: UInt64? = nil
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.seed = seed
    }

    /// The most likely token at every step.
    package static let greedy = SamplingOptions(temperature: 0)

    /// Plain sampling from the model's own distribution.
    package static func ancestral(seed: UInt64) -> SamplingOptions {
        SamplingOptions(temperature: 1, topK: 0, topP: 1, minP: 0, seed: seed)
    }

    /// What the makers of a model recommend in `generation_config.json`.
    ///
    /// A file that names any of `do_sample`, `temperature`, `top_k`, `top_p` and `min_p` was written for Hugging Face's
    /// defaults, so those stand in for the keys it leaves out: 1, 50, 1 and none. `do_sample: false` means greedy. Any
    /// other file leaves Crumb's defaults. `repetition_penalty` is taken wherever it stands.
    ///
    /// - Throws: `EngineError` for values out of range.
    package init(generationConfiguration: JSONObject?, source: String) throws {
        self.init()
        guard let configuration = generationConfiguration else { return }
        func number(_ key: String) throws -> Double? {
            guard let value = configuration[key], !value.isNull else { return nil }
            guard let number = value.double else {
                throw EngineError("\(source): \(key) is \(JSON.serialize(value)), but must be a number")
            }
            return number
        }
        let keys = ["do_sample", "temperature", "top_k", "top_p", "min_p"]
        if keys.contains(where: { configuration[$0].map { !$0.isNull } ?? false }) {
            temperature = try number("temperature") ?? 1
            let topK = try number("top_k") ?? 50
            guard let whole = Int(exactly: topK) else {
                throw EngineError("\(source): top_k is \(topK), but must be an integer")
            }
            self.topK = whole
            topP = try number("top_p") ?? 1
            minP = try number("min_p") ?? 0
            if configuration["do_sample"]?.bool == false { temperature = 0 }
        }
        repetitionPenalty = try number("repetition_penalty") ?? 1
        do {
            try validate()
        } catch {
            throw EngineError("\(source): \(error)")
        }
    }

    /// - Throws: `EngineError` that names the first value out of range.
    package func validate() throws {
        func check(_ name: String, _ value: Double, _ range: ClosedRange<Double>) throws {
            guard range.contains(value) else {
                throw EngineError(
                    "\(name) is \(value), but must be a number from \(range.lowerBound) to \(range.upperBound)")
            }
        }
        try check("temperature", temperature, 0...100)
        try check("top-k", Double(topK), 0...1e9)
        try check("top-p", topP, 0...1)
        try check("min-p", minP, 0...1)
        try check("repetition penalty", repetitionPenalty, 0.01...100)
    }
}
