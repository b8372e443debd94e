import ArgumentParser
import CrumbPipeline
import CrumbQuant

extension QuantizationMethod: ExpressibleByArgument {}
extension LossGuidance: ExpressibleByArgument {}

/// Storage of the embedding or the output head.
enum OuterBits: String, ExpressibleByArgument, CaseIterable {
    case auto
    case four = "4"
    case eight = "8"
    case sixteen = "16"

    /// nil leaves the choice to the quantizer.
    var count: Int? { Int(rawValue) }
}

/// How many bits go where.
struct SizeArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Bits per weight over all linear layers, everything counted: codes, scales, outliers, order, padding.",
            valueName: "n"))
    var bits = 2.85

    @Option(
        help: ArgumentHelp(
            "Share of the input channels that get 4 bits, 0 to 1, the same in every matrix: 0 is plain 2-bit, 1 plain 4-bit. (default: what --bits allows)",
            valueName: "share"))
    var fourBitShare: Double?

    @Option(help: ArgumentHelp("Share of the 2-bit weights that are kept in 16 bits, 0 to 0.03.", valueName: "share"))
    var outliers = 0.002

    @Option(help: ArgumentHelp("Weights that share one scale; this format has groups of 32.", valueName: "n"))
    var groupSize = 32

    @Option(
        help: ArgumentHelp("Bits of the output head. auto: few enough that perplexity hardly moves.", valueName: "bits")
    )
    var headBits = OuterBits.auto

    @Option(
        help: ArgumentHelp(
            "Bits of the token embedding, likewise; where it is the same matrix as the head, the larger number counts.",
            valueName: "bits"))
    var embeddingBits = OuterBits.auto

    mutating func validate() throws {
        try require(groupSize == 32, "--group-size is \(groupSize); this format has groups of 32.")
    }
}

/// How the codes are found.
struct MethodArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "rtn: round to nearest; fast and poor. gptq: rounding with error feedback. full: gptq, then coordinate descent.",
            valueName: "name"))
    var method = QuantizationMethod.full

    @Option(
        help: ArgumentHelp(
            """
            Text to calibrate on (UTF-8), like what the model will read; "self" lets the model write its own. \
            (default: a text of many kinds and languages that is part of the program)
            """, valueName: "file"))
    var calibration: String?

    var calibrationSource: CalibrationSource {
        guard let calibration else { return .builtIn }
        return calibration == "self" ? .ownText : .file(calibration)
    }

    @Option(
        help: ArgumentHelp(
            "Tokens to calibrate on; more is better and slower. (default: 32768, on a GPU 131072 where the text has them)",
            valueName: "n"))
    var calibrationTokens: Int?

    @Option(
        help: ArgumentHelp(
            """
            What the model's loss in the end, by a backward pass of the source, has a say in, on a GPU. budget: which \
            matrices get 4 bits. tokens: what a token counts for. full: both.
            """, valueName: "what"))
    var guidance = LossGuidance.full

    @Option(help: ArgumentHelp("Start of the random numbers; the same seed gives the same bytes.", valueName: "n"))
    var seed: UInt64 = 0

    @Flag(inversion: .prefixedNo, help: "Measure perplexity before and after, on text not calibrated on, for the card.")
    var measure = true

    @Option(
        help: ArgumentHelp(
            "Most divergence from the source that a result may have, in nats a token: what is above writes nonsense.",
            valueName: "nats"))
    var maxDivergence = 1.0

    @Flag(help: "Keep the result whatever it lost.")
    var force = false
}

/// What the work may take and leave behind.
struct WorkArguments: ParsableArguments {
    @Option(
        name: [.short, .long],
        help: ArgumentHelp(
            "Threads to work with; the bytes do not depend on it. (default: all the machine has)", valueName: "n"))
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "Memory to stay below, like 6G or 512M; refused where the plan, which is printed first, needs more. (default: no limit)",
            valueName: "size"))
    var maxMemory: MemorySize?

    @Flag(inversion: .prefixedNo, help: "Go on where an interrupted run with the same options stopped.")
    var resume = true

    @Option(help: ArgumentHelp("Write a page with the figures and charts of this run.", valueName: "file.html"))
    var report: String?
}
