/// A writable window of fp32 numbers, (rows, columns) row-major with a stride between rows.
///
/// A window from a `FloatBuffer` keeps the buffer's memory alive; one made from a pointer is valid as long as that is.
package struct FloatMatrix {
    package let base: UnsafeMutablePointer<Float>
    package let rows: Int
    package let columns: Int
    /// Numbers from the start of one row to the next; at least `columns`.
    package let stride: Int
    /// What keeps `base` alive, where it is not the caller's duty.
    private let owner: AnyObject?

    package init(
        base: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int? = nil, owner: AnyObject? = nil
    ) {
        self.owner = owner
        self.base = base
        self.rows = rows
        self.columns = columns
        self.stride = stride ?? columns
    }

    /// The first number of row `m`.
    package func row(_ m: Int) -> UnsafeMutablePointer<Float> {
        assert(m >= 0 && m < rows)
        return base + m * stride
    }

    /// The rows of `range` as a matrix of their own.
    package func slice(rows range: Range<Int>) -> FloatMatrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        return FloatMatrix(
            base: base + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride, owner: owner)
    }

    /// The columns of `range` as a matrix of their own.
    package func slice(columns range: Range<Int>) -> FloatMatrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of \(columns)")
        return FloatMatrix(
            base: base + range.lowerBound, rows: rows, columns: range.count, stride: stride, owner: owner)
    }

    /// All numbers, row after row.
    package var array: [Float] {
        (0..<rows).flatMap { m in UnsafeBufferPointer(start: row(m), count: columns) }
    }
}

/// fp32 scratch memory that grows when a larger matrix is asked for, and never shrinks.
package final class FloatBuffer {
    private var storage: Storage

    /// Starts with room for `capacity` numbers.
    package init(capacity: Int = 0) { storage = Storage(capacity) }

    /// A dense (rows, columns) window, aligned to 64 bytes, whose numbers are unspecified.
    ///
    /// Windows share the memory: a later one overwrites what an earlier one held.
    package func matrix(rows: Int, columns: Int) -> FloatMatrix {
        if rows * columns > storage.capacity { storage = Storage(rows * columns) }
        return FloatMatrix(base: storage.base, rows: rows, columns: columns, owner: storage)
    }

    /// Memory that windows keep alive after the buffer has grown.
    private final class Storage {
        let base: UnsafeMutablePointer<Float>
        let capacity: Int

        init(_ count: Int) {
            capacity = max(count, 16)
            base = UnsafeMutableRawPointer.allocate(byteCount: capacity * MemoryLayout<Float>.stride, alignment: 64)
                .bindMemory(to: Float.self, capacity: capacity)
        }

        deinit { base.deallocate() }
    }
}
