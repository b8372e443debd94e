import CrumbModel
import CrumbThreads

/// Runs windows through a decoder in blocks and hands out the logits of counted positions a few rows at a time, so that
/// memory does not grow with context times vocabulary.
final class WindowPass {
    /// Tokens of one pass through the layers.
    static let blockTokens = 512
    /// Rows of logits that exist at once: 128 rows of a vocabulary of 150,000 are 77 MB.
    static let logitRows = 128

    private let decoder: any Decoder
    private let cache: any SequenceCache

    init(_ decoder: any Decoder, context: Int) throws {
        self.decoder = decoder
        cache = try decoder.makeCache(capacity: context)
    }

    /// Forgets the window before.
    func begin() { cache.truncate(to: 0) }

    /// Takes in the next block.
    func run(_ block: ArraySlice<Int32>) throws {
        try decoder.run(Batch(Array(block), cache: cache, logits: .none))
    }

    /// The logits of some rows of the last block, valid until the next call.
    func logits(rows: Range<Int>) throws -> FloatMatrix { try decoder.logits(rows: rows) }

    /// The counted rows of the block of tokens `block` of a window, in runs of at most `logitRows`; rows count from the
    /// block's beginning.
    static func countedRows(of block: Range<Int>, in windows: EvaluationWindows) -> [Range<Int>] {
        let first = max(block.lowerBound, windows.firstCounted)
        let end = min(block.upperBound, windows.context - 1)
        return stride(from: first, to: end, by: logitRows).map { start in
            start - block.lowerBound..<min(start + logitRows, end) - block.lowerBound
        }
    }

    /// The blocks of a window.
    static func blocks(of context: Int) -> [Range<Int>] {
        stride(from: 0, to: context, by: blockTokens).map { $0..<min($0 + blockTokens, context) }
    }
}

extension FloatMatrix {
    /// Row `m` for reading.
    func values(_ m: Int) -> UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: row(m), count: columns) }
}
