/// Takes tokens through a model, wherever the arithmetic is done. One caller at a time.
package protocol Decoder: AnyObject {
    var configuration: ModelConfiguration { get }
    /// Device and kernels, for logs and tables of results.
    var name: String { get }
    /// Bytes of weights that one decoded token reads.
    var bytesPerToken: Int { get }

    /// Room for one sequence's keys and values.
    ///
    /// - Throws: `ModelError` or `CUDAError` when the memory cannot be had.
    func makeCache(capacity: Int) throws -> any SequenceCache

    /// Room for as many sequences, which passes take in side by side, each with the same capacity.
    ///
    /// - Throws: as `makeCache`.
    func makeCaches(sequences: Int, capacity: Int) throws -> [any SequenceCache]

    /// Runs all layers, counts the tokens in their caches, and keeps the residual stream for `logits(rows:)`.
    ///
    /// - Throws: `ModelError` for a token outside the vocabulary; `CUDAError` where a device fails.
    func run(_ batch: Batch) throws

    /// Final norm and head of some rows of the batch that was run last.
    ///
    /// - Returns: (rows, vocabSize) in host memory, valid until the next call.
    func logits(rows: Range<Int>) throws -> FloatMatrix

    /// Runs all layers and the head for the batch's `logitRows`, and counts the tokens in their caches.
    ///
    /// - Returns: (logitRows, vocabSize) in host memory, valid until the next call.
    /// - Throws: as `run`.
    func logits(for batch: Batch) throws -> FloatMatrix
}

extension Decoder {
    package func makeCaches(sequences: Int, capacity: Int) throws -> [any SequenceCache] {
        try (0..<sequences).map { _ in try makeCache(capacity: capacity) }
    }
}

/// The keys and values of one sequence's tokens, wherever they lie, as far as they are counted.
///
/// The cache counts the tokens whose forward pass is complete; a pass writes behind that count and then calls `advance`.
package protocol SequenceCache: AnyObject {
    /// Positions there is room for.
    var capacity: Int { get }
    /// Tokens that have been through the whole model.
    var length: Int { get }
    /// Bytes of one position's keys and values in all layers.
    var positionBytes: Int { get }

    /// Counts `count` more tokens as complete, which a forward pass has just written in every layer.
    func advance(by count: Int)

    /// Forgets the tokens from `length` on; later passes overwrite them.
    func truncate(to length: Int)
}
