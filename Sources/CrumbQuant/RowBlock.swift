import CrumbABI
import CrumbPacked

/// A few rows of a matrix while they are quantized: all arrays are channel-major, (P, R), so that what is done to a
/// channel is done to R contiguous numbers.
///
/// Row blocks are independent of each other given the `ErrorFactor`; their size is fixed, so that the result does not
/// depend on the number of threads.
final class RowBlock {
    /// Rows of a block: record tiles, and wide enough that OpenBLAS does not spend its time on copying H into its own
    /// layout (64 rows: 26 % of all time on Zen 5).
    static let maxRows = 192
    /// Channels whose changes reach the channels outside in one product.
    static let span = 128

    /// Largest level with 4 bits.
    static let wideTop: Float = 7.5

    let shape: crumb_packed_shape
    let storage: StorageVariant
    /// Rows in this block, R.
    let rows: Int
    /// P.
    let positions: Int
    /// Source weights in permuted order, zero for padding.
    let weights: UnsafeMutablePointer<Float>
    /// Dequantized values of the current codes, scales and outliers.
    let quantized: UnsafeMutablePointer<Float>
    /// Code minus zero point: -7.5 ... 7.5 or -1.5 ... 1.5, no further than the group's `top`.
    let levels: UnsafeMutablePointer<Float>
    /// 1 where a weight is an outlier, else 0.
    let isOutlier: UnsafeMutablePointer<Float>
    /// Scale code + bias (1 ... 16) per group, (P / 32, R); first-order scales themselves where a variant has those.
    let scaleCodes: UnsafeMutablePointer<Float>
    /// Largest level per group, (P / 32, R).
    let tops: UnsafeMutablePointer<Float>
    /// Second-order scales, (segments, 2, R): 4-bit region, 2-bit region; always representable in half precision.
    let rowScales: UnsafeMutablePointer<Float>
    /// Scratch of (P, R): targets of error feedback, then H (W - Q) of coordinate descent.
    let scratch: UnsafeMutablePointer<Float>
    /// The row scales of one group whose rows do not all have the same bits, R.
    private let mixedScales: UnsafeMutablePointer<Float>
    private let memory: UnsafeMutablePointer<Float>

    var group: Int { Int(CRUMB_GROUP) }
    var groups: Int { positions / group }

    init(shape: crumb_packed_shape, storage: StorageVariant, rows: Int) {
        self.shape = shape
        self.storage = storage
        self.rows = rows
        positions = shape.orderCount
        let matrix = positions * rows
        let scales = Int(shape.segments) * 2 * rows
        let groups = matrix / Int(CRUMB_GROUP)
        let total = 5 * matrix + 2 * groups + scales + rows
        memory = .allocate(capacity: total)
        memory.initialize(repeating: 0, count: total)
        weights = memory
        quantized = memory + matrix
        levels = memory + 2 * matrix
        isOutlier = memory + 3 * matrix
        scratch = memory + 4 * matrix
        scaleCodes = memory + 5 * matrix
        tops = scaleCodes + groups
        rowScales = tops + groups
        mixedScales = rowScales + scales
        for index in 0..<self.groups {
            let top = isFourBit(group: index) ? Self.wideTop : storage.narrowTop
            self.top(group: index).update(repeating: top, count: rows)
        }
    }

    deinit { memory.deallocate() }

    /// Bytes an object of this size takes.
    static func byteCount(positions: Int) -> Int { (5 * positions + 2 * positions / 32 + 17) * maxRows * 4 }

    /// Whether the group's channels have 4-bit codes, where rows do not choose.
    private func isFourBit(group index: Int) -> Bool {
        index * group % shape.segmentChannels < shape.fourBitChannels
    }

    /// Largest levels of a group, R of them: codes go from minus this to plus this in steps of one.
    func top(group index: Int) -> UnsafeMutablePointer<Float> { tops + index * rows }

    /// The second-order scales that a group uses, R of them, until the next call.
    func rowScale(group index: Int) -> UnsafePointer<Float> {
        let slots = rowScales + index * group / shape.segmentChannels * 2 * rows
        guard storage.choosesGroups else { return UnsafePointer(slots + (isFourBit(group: index) ? 0 : rows)) }
        for row in 0..<rows { mixedScales[row] = slots[(belongs(group: index, row, region: 0) ? 0 : rows) + row] }
        return UnsafePointer(mixedScales)
    }

    /// Whether a row's group is one of a region, of the `groups` that have to do with it.
    @inline(__always)
    func belongs(group index: Int, _ row: Int, region: Int) -> Bool {
        !storage.choosesGroups || (tops[index * rows + row] == Self.wideTop) == (region == 0)
    }

    /// Groups of one region (0: 4-bit, 1: 2-bit) of a segment; all of it where rows choose.
    func groups(segment: Int, region: Int) -> Range<Int> {
        let start = segment * shape.segmentChannels / group
        if storage.choosesGroups { return start..<start + shape.segmentChannels / group }
        let split = start + shape.fourBitChannels / group
        return region == 0 ? start..<split : split..<start + shape.segmentChannels / group
    }
}

/// Rounds to the nearest integer, ties to even, for |x| < 2^22; unlike `rounded()` it needs no SSE 4.1 and vectorizes.
@inline(__always)
func nearest(_ x: Float) -> Float {
    let magic: Float = 12_582_912  // 1.5 x 2^23: at this size a float has no fraction bits left
    return (x + magic) - magic
}

/// The level nearest to `x`: one of -top, -top + 1, ... top, where top is half an odd number.
@inline(__always)
func nearestLevel(_ x: Float, top: Float) -> Float {
    let low = x < -top ? -top : x
    let inside = low > top ? top : low
    return nearest(inside - 0.5) + 0.5
}
