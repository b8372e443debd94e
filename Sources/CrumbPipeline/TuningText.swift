import CrumbEngine
import CrumbFormats
import CrumbModel
import CrumbTokenizer
import CrumbTune

/// The tokens a model is tuned on, in texts of one length, and some that it is measured on.
struct TuningText {
    /// Each beginning as the tokenizer begins texts.
    private(set) var texts: [[Int32]] = []
    /// A whole number of texts that are not tuned on.
    private(set) var heldOut: [Int32] = []
    let beginning: Int32?

    /// One text of so many is held out.
    private static let heldOutShare = 16
    /// Texts held out at most, of each source.
    private static let heldOutLimit = 16

    /// Reads the texts that `options` ask for, and lets the source write its own.
    ///
    /// - Parameter writer: Gives the source as it can write, on a GPU; asked only where its text is not there yet.
    /// - Throws: `PipelineError` where they do not fill one step; `FormatError` where one cannot be read.
    init(
        _ options: TuningOptions, source: LoadedModel, writer: () throws -> LoadedModel,
        progress: (Double) throws -> Void
    ) throws {
        beginning = source.beginningToken
        if options.textPaths.isEmpty { take(CalibrationText.builtIn(source), length: options.context) }
        for path in options.textPaths {
            take(try CalibrationText.tokens(of: path, source), length: options.context)
        }
        try write(options, writer: writer, progress: progress)
        guard texts.count >= options.tuning.texts else {
            throw PipelineError(
                "the texts make \(texts.count) pieces of \(options.context) tokens, and a step takes "
                    + "\(options.tuning.texts); give longer texts, a shorter --context or fewer --texts-per-step")
        }
    }

    private mutating func take(_ tokens: [Int32], length: Int) {
        var held = 0
        for (index, start) in stride(from: 0, through: tokens.count - length, by: length).enumerated() {
            var text = Array(tokens[start..<start + length])
            if index % Self.heldOutShare == Self.heldOutShare / 2, held < Self.heldOutLimit {
                heldOut += text
                held += 1
                continue
            }
            if let beginning { text[0] = beginning }
            texts.append(text)
        }
    }

    private mutating func write(
        _ options: TuningOptions, writer: () throws -> LoadedModel, progress: (Double) throws -> Void
    ) throws {
        let count = options.ownTokens / options.context
        guard count > 0 else { return }
        let file = try options.ownTextPath.map { try OwnTextFile($0, options, given: texts) }
        if let written = try file?.read(count) {
            texts += written
            return
        }
        let written = try OwnText(
            source: writer(), length: options.context, seed: options.tuning.seed, given: texts
        ).write(count, progress: progress)
        try file?.write(written)
        texts += written
    }
}
