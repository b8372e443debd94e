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

    /// Tokens of a window of given text: windows are calibrated on or held out as a whole.
    private static let windowContext = 2048
    /// Tokens of a piece that is calibrated on. Short, so that there are many first tokens: models park attention there
    /// and answer with activations hundreds of times larger, and a few of those would be fitted one by one.
    /// SmolLM2-135M's perplexity on WikiText-2: ratio 1.485 with 256, 1.502 with 512, 1.520 with 128.
    private static let pieceContext = 256
    /// Tokens of a piece that the model writes itself.
    private static let ownContext = 512
    /// Windows of text held out for measuring.
    private static let heldOutWindows = 4

    /// Tokens to calibrate on where nobody says how many, on a CPU and on a GPU. SmolLM2-135M at 2.85 bits on an H200, mean KL
    /// on WikiText-2: 0.363 with 32,768, 0.347 with 131,072; 4.0 and 7.3 s.
    private static let usualTokens = 32_768
    private static let usualTokensOnCard = 131_072

    /// What the text will be like, known before it is cut or written.
    struct Sizes {
        /// Tokens of a window; given text is cut into pieces within it.
        let window: Int
        /// Tokens of a piece, and pieces that are calibrated on.
        let context: Int
        let pieces: Int
        /// Pieces held out, where the model writes them.
        let written: Int
        /// For people.
        let description: String

        /// - Parameter given: Tokens of the given text, of which some are left for measuring where nobody says how many
        ///   to take; nil where the model writes it.
        init(_ options: QuantizationOptions, _ configuration: ModelConfiguration, given: Int?, onCard: Bool) {
            let own = given == nil
            var tokens = options.calibrationTokens ?? CalibrationText.usualTokens
            if options.calibrationTokens == nil, onCard, let given {
                let held = CalibrationText.heldOutWindows * CalibrationText.windowContext
                tokens = min(CalibrationText.usualTokensOnCard, max(tokens, given - held))
            }
            window = min(
                own ? CalibrationText.ownContext : CalibrationText.windowContext, configuration.maxPositionEmbeddings,
                tokens)
            context = own ? window : min(CalibrationText.pieceContext, window)
            pieces = tokens / window * (window / context)
            // Half a window of each counts, so as many tokens are measured as with a given text.
            written = own ? CalibrationText.heldOutWindows * CalibrationText.windowContext / context : 0
            description = "\(pieces * context) tokens of \(options.calibration)"
        }
    }

    /// The tokens of the text that `options` ask for; nil where the model is to write it.
    ///
    /// - Throws: `FormatError` for a file that cannot be read, `PipelineError` for one that is no text.
    static func given(_ options: QuantizationOptions, _ source: LoadedModel) throws -> [Int32]? {
        switch options.calibration {
        case .builtIn: builtIn(source)
        case .file(let path): try tokens(of: path, source)
        case .ownText: nil
        }
    }

    /// Cuts a given text, or lets the model write one.
    ///
    /// - Parameter progress: Called with the share that is written, where the model writes.
    /// - Throws: `PipelineError` for a text that is too short.
    init(
        _ options: QuantizationOptions, given: [Int32]?, sizes: Sizes, source: LoadedModel,
        progress: (Double) throws -> Void
    ) throws {
        beginning = source.beginningToken
        heldOutContext = sizes.window
        digest = ""
        if let given {
            try take(given, sizes, options)
        } else {
            try write(sizes, seed: options.seed, source: source, progress: progress)
        }
        digest = SourceDigest.tokens(sequences.flatMap { $0 } + heldOut)
    }

    /// Takes windows evenly from the whole text and cuts them into pieces; of what lies between, some are held out.
    private mutating func take(_ tokens: [Int32], _ sizes: Sizes, _ options: QuantizationOptions) throws {
        let windows = (0..<tokens.count / sizes.window).map {
            Array(tokens[$0 * sizes.window..<($0 + 1) * sizes.window])
        }
        let inWindow = sizes.window / sizes.context
        let wanted = sizes.pieces / inWindow
        guard windows.count >= wanted else {
            throw PipelineError(
                "\(options.calibration) has \(tokens.count) tokens, too few to calibrate on "
                    + "\(wanted * sizes.window); give a longer --calibration text or lower --calibration-tokens")
        }
        let chosen = Set((0..<wanted).map { $0 * windows.count / wanted })
        let others = windows.indices.filter { !chosen.contains($0) }
        let step = max(others.count / Self.heldOutWindows, 1)
        heldOut = others.enumerated().filter { $0.offset % step == 0 }.prefix(Self.heldOutWindows).flatMap {
            windows[$0.element]
        }
        sequences = chosen.sorted().flatMap { index in
            (0..<inWindow).map { part in
                var piece = Array(windows[index][part * sizes.context..<(part + 1) * sizes.context])
                if let beginning { piece[0] = beginning }
                return piece
            }
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

    /// The text that is part of the program.
    static func builtIn(_ source: LoadedModel) -> [Int32] {
        let text = UnsafeBufferPointer(start: crumb_calibration_text, count: crumb_calibration_text_bytes)
        return source.tokenizer.encode(String(decoding: text, as: UTF8.self), addSpecialTokens: false)
    }

    static func tokens(of path: String, _ source: LoadedModel) throws -> [Int32] {
        let bytes = try FileSystem.read(path, limit: 1 << 30)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw PipelineError("\(path) is not UTF-8 text, so it cannot be calibrated on")
        }
        return source.tokenizer.encode(text, addSpecialTokens: false)
    }
}
