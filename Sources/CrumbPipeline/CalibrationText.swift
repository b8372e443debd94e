import CrumbCorpus
import CrumbEngine
import CrumbFormats
import CrumbModel
import CrumbTokenizer

/// The tokens a model is calibrated on, and some more that it is measured on.
struct CalibrationText {
    /// Pieces that do not see each other, each beginning as the tokenizer begins texts.
    private(set) var sequences: [[Int32]] = []
    /// Tokens that were not calibrated on, a whole number of windows; empty where the text has none left.
    private(set) var heldOut: [Int32] = []
    let heldOutContext: Int
    let beginning: Int32?
    /// SHA-256 of all tokens.
    private(set) var digest: String

    /// Tokens of a piece of given text, and of a piece that the model writes itself: decoding is slow, so those are
    /// short.
    private static let textContext = 2048
    private static let ownContext = 512
    /// Windows of text held out for measuring.
    private static let heldOutWindows = 4

    /// What the text will be like, known before it is read or written.
    struct Sizes {
        /// Tokens of a piece, and pieces that are calibrated on.
        let context: Int
        let pieces: Int
        /// Pieces held out, where the model writes them.
        let written: Int
        /// For people.
        let description: String

        init(_ options: QuantizationOptions, _ configuration: ModelConfiguration) {
            let own = options.calibration == .ownText
            context = min(
                own ? CalibrationText.ownContext : CalibrationText.textContext, configuration.maxPositionEmbeddings,
                options.calibrationTokens)
            pieces = options.calibrationTokens / context
            // Half a window of each counts, so as many tokens are measured as with a given text.
            written = own ? CalibrationText.heldOutWindows * CalibrationText.textContext / context : 0
            description = "\(pieces * context) tokens of \(options.calibration)"
        }
    }

    /// Reads or writes the text that `options` ask for.
    ///
    /// - Parameter progress: Called with the share that is written, where the model writes.
    /// - Throws: `PipelineError` for a text that is too short; `FormatError` for one that cannot be read.
    init(
        _ options: QuantizationOptions, sizes: Sizes, source: LoadedModel, progress: (Double) throws -> Void
    ) throws {
        beginning = source.beginningToken
        heldOutContext = sizes.context
        digest = ""
        switch options.calibration {
        case .builtIn:
            let text = UnsafeBufferPointer(start: crumb_calibration_text, count: crumb_calibration_text_bytes)
            try take(
                source.tokenizer.encode(String(decoding: text, as: UTF8.self), addSpecialTokens: false), sizes, options)
        case .file(let path):
            try take(Self.tokens(of: path, source), sizes, options)
        case .ownText:
            try write(sizes, seed: options.seed, source: source, progress: progress)
        }
        digest = SourceDigest.tokens(sequences.flatMap { $0 } + heldOut)
    }

    /// Takes pieces evenly from the whole text; of what lies between, some are held out.
    private mutating func take(_ tokens: [Int32], _ sizes: Sizes, _ options: QuantizationOptions) throws {
        let pieces = (0..<tokens.count / sizes.context).map {
            Array(tokens[$0 * sizes.context..<($0 + 1) * sizes.context])
        }
        guard pieces.count >= sizes.pieces else {
            throw PipelineError(
                "\(options.calibration) has \(tokens.count) tokens, too few to calibrate on "
                    + "\(sizes.pieces * sizes.context); give a longer --calibration text or lower --calibration-tokens")
        }
        let chosen = Set((0..<sizes.pieces).map { $0 * pieces.count / sizes.pieces })
        let others = pieces.indices.filter { !chosen.contains($0) }
        let step = max(others.count / Self.heldOutWindows, 1)
        heldOut = others.enumerated().filter { $0.offset % step == 0 }.prefix(Self.heldOutWindows).flatMap {
            pieces[$0.element]
        }
        sequences = chosen.sorted().map { index in
            var piece = pieces[index]
            if let beginning { piece[0] = beginning }
            return piece
        }
    }

    private mutating func write(
        _ sizes: Sizes, seed: UInt64, source: LoadedModel, progress: (Double) throws -> Void
    ) throws {
        var failure: (any Error)?
        let written = try source.sampleBatch(
            sequences: sizes.pieces + sizes.written, tokens: sizes.context, seed: seed
        ) { share in
            do { try progress(share) } catch { failure = error }
            return failure != nil
        }
        if let failure { throw failure }
        guard let written else { throw PipelineError("the calibration text was not finished") }
        sequences = Array(written.prefix(sizes.pieces))
        heldOut = written.dropFirst(sizes.pieces).flatMap { $0 }
    }

    private static func tokens(of path: String, _ source: LoadedModel) throws -> [Int32] {
        let bytes = try FileSystem.read(path, limit: 1 << 30)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw PipelineError("\(path) is not UTF-8 text, so it cannot be calibrated on")
        }
        return source.tokenizer.encode(text, addSpecialTokens: false)
    }
}
