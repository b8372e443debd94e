/// The order of the rows of Q and K.
///
/// Within a head of size d Hugging Face rotates row i with row i + d/2. The converter to GGUF stores such a pair side
/// by side, at rows 2i and 2i + 1. A row is a whole number of blocks, so rows move without touching their codes.
enum RowOrder {
    /// Copies rows from GGUF's order to Hugging Face's.
    ///
    /// - Parameters:
    ///   - source: `rows` rows of equal length; for a bias one number each.
    ///   - rows: heads x head size; an even number for each head.
    static func deinterleave(
        _ source: UnsafeRawBufferPointer, rows: Int, heads: Int, into target: UnsafeMutableRawBufferPointer
    ) {
        let half = rows / heads / 2
        let rowBytes = source.count / max(rows, 1)
        precondition(half * heads * 2 == rows && rowBytes * rows == source.count && target.count >= source.count)
        for head in 0..<heads {
            for part in 0..<2 {
                for index in 0..<half {
                    let from = (head * half + index) * 2 + part
                    let to = (head * 2 + part) * half + index
                    let row = unsafe UnsafeRawBufferPointer(rebasing: source[from * rowBytes..<(from + 1) * rowBytes])
                    let place = unsafe UnsafeMutableRawBufferPointer(
                        rebasing: target[to * rowBytes..<(to + 1) * rowBytes])
                    unsafe place.copyMemory(from: row)
                }
            }
        }
    }
}
