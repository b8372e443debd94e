import CrumbEngine
import CrumbFormats
import CrumbModel
import CrumbTokenizer
import Logging

/// The tokens a model is calibrated on, and some more that it is measured on.
struct CalibrationText {
    /// Pieces that do not see each other, each beginning as the tokenizer begins texts.
    let sequences: [[Int32]]
    /// Tokens that were not calibrated on, a whole number of windows; empty where the text has none left.
    let heldOut: [Int32]
    let heldOutContext: Int
    let beginning: Int32?
    /// For people: where the text comes from and how long it is.
    let description: String
    let heldOutDescription: String

    var tokenCount: Int { sequences.reduce(0) { $0 + $1.count } }
    var digest: String { SourceDigest.tokens(sequences.flatMap { $0 } + heldOut) }

    /// Tokens of a piece of a file, and of a piece that the model writes itself: decoding is slow, so those are short.
    private static let fileContext = 2048
    private static let ownContext = 512
    /// Windows of text held out for measuring.
    private static let heldOutWindows = 4

    /// Reads or writes the text that `options` ask for.
    ///
    /// - Parameter progress: Called with the share that is written, where the model writes.
    /// - Throws: `PipelineError` for a text that is too short; `FormatError` for one that cannot be read.
    init(
        _ options: QuantizationOptions, source: LoadedModel, logger: Logger, progress: (Double) throws -> Void
    ) throws {
        let longest = source.configuration.maxPositionEmbeddings
        beginning = source.beginningToken
        if let path = options.calibrationPath {
            let context = min(Self.fileContext, longest, options.calibrationTokens)
            let tokens = try Self.tokens(of: path, source)
            let wanted = options.calibrationTokens / context
            guard tokens.count / context >= wanted else {
                throw PipelineError(
                    "\(path) has \(tokens.count) tokens, too few to calibrate on \(options.calibrationTokens); "
                        + "give a longer text or lower --calibration-tokens")
            }
            let pieces = Self.pieces(tokens, context: context)
            // Evenly over the whole text; what lies between is held out.
            let chosen = (0..<wanted).map { $0 * pieces.count / wanted }
            let others = pieces.indices.filter { !Set(chosen).contains($0) }
            let step = max(others.count / Self.heldOutWindows, 1)
            let held = others.enumerated().filter { $0.offset % step == 0 }.prefix(Self.heldOutWindows).map(\.element)
            sequences = chosen.map { Self.begun(pieces[$0], with: source.beginningToken) }
            heldOut = held.flatMap { pieces[$0] }
            heldOutContext = context
            description = "\(wanted * context) tokens of \(path)"
            heldOutDescription = path
        } else {
            let context = min(Self.ownContext, longest)
            let wanted = max(options.calibrationTokens / context, 1)
            // Half a window of each counts, so as many tokens are measured as with a file.
            let held = Self.heldOutWindows * Self.fileContext / Self.ownContext
            var failure: (any Error)?
            let written = try source.sampleBatch(sequences: wanted + held, tokens: context, seed: options.seed) {
                share in
                do { try progress(share) } catch { failure = error }
                return failure != nil
            }
            if let failure { throw failure }
            guard let written else { throw PipelineError("the calibration text was not finished") }
            sequences = Array(written.prefix(wanted))
            heldOut = written.dropFirst(wanted).flatMap { $0 }
            heldOutContext = context
            description = "\(wanted * context) tokens that the source model wrote itself (seed \(options.seed))"
            heldOutDescription = "text that the source model wrote itself"
        }
    }

    private static func tokens(of path: String, _ source: LoadedModel) throws -> [Int32] {
        let bytes = try FileSystem.read(path, limit: 1 << 30)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw PipelineError("\(path) is not UTF-8 text, so it cannot be calibrated on")
        }
        return source.tokenizer.encode(text, addSpecialTokens: false)
    }

    private static func pieces(_ tokens: [Int32], context: Int) -> [[Int32]] {
        (0..<tokens.count / context).map { Array(tokens[$0 * context..<($0 + 1) * context]) }
    }

    private static func begun(_ piece: [Int32], with beginning: Int32?) -> [Int32] {
        var piece = piece
        if let beginning { piece[0] = beginning }
        return piece
    }
}
