import CrumbDigest
import CrumbFormats
import CrumbTune

/// Text that a model wrote itself, kept for other runs with the same source: it does not depend on the bits.
///
/// A line that says what it is made of, then the tokens, int32, little-endian, text after text.
package struct OwnTextFile {
    private let path: String
    private let length: Int
    private let title: String

    /// - Parameter given: The texts that it goes on from.
    /// - Throws: `FormatError` where the source cannot be read.
    package init(_ path: String, _ options: TuningOptions, given: [[Int32]]) throws {
        self.path = path
        length = options.context
        let source = try SourceDigest.model(options.sourcePath)
        let about = "\(source) \(SourceDigest.tokens(given.flatMap { $0 })) \(options.tuning.seed)"
        title = "crumb own text 1, \(length) tokens each, of \(FileDigest.sha256(Array(about.utf8)))\n"
    }

    /// The first `count` texts; nil where there is no file yet.
    ///
    /// - Throws: `PipelineError` for a file of another source, text, length or seed, or of fewer texts; `FormatError` where it
    ///   cannot be read.
    package func read(_ count: Int) throws -> [[Int32]]? {
        guard FileSystem.exists(path) else { return nil }
        let bytes = try FileSystem.read(path, limit: 1 << 32)
        let start = title.utf8.count
        guard bytes.starts(with: title.utf8) else {
            throw PipelineError(
                "\(path) is not the text that this source writes with these options; remove it, or give another --own-text"
            )
        }
        let width = 4 * length
        guard (bytes.count - start) / width >= count else {
            throw PipelineError(
                "\(path) has \((bytes.count - start) / width) texts of \(length) tokens, and \(count) are asked for; remove "
                    + "it, or lower --own-tokens")
        }
        return (0..<count).map { text in
            (0..<length).map { token in
                let place = start + text * width + 4 * token
                return (0..<4).reduce(Int32(0)) { $0 | Int32(bytes[place + $1]) << (8 * $1) }
            }
        }
    }

    /// - Throws: `FormatError` where it cannot be written.
    package func write(_ texts: [[Int32]]) throws {
        try AtomicFile.write(Array(title.utf8) + SourceDigest.bytes(of: texts.flatMap { $0 }), to: path)
    }
}
