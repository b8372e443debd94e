/// A named, typed, read-only window on a tensor's bytes, row-major.
///
/// `shape` has the outermost axis first, as in safetensors: a weight matrix is [N, K]. The view keeps `owner` (a mapped
/// file or a heap buffer) alive, so `bytes` is valid as long as the view is. Readers have checked that `bytes.count`
/// is what type and shape ask for.
package struct TensorView: @unchecked Sendable {  // the bytes are never written after the owner was made
    package let name: String
    package let type: StorageType
    package let shape: [Int]
    package let bytes: UnsafeRawBufferPointer
    package let owner: any AnyObject & Sendable

    package init(
        name: String, type: StorageType, shape: [Int], bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable
    ) {
        self.name = name
        self.type = type
        self.shape = shape
        self.bytes = bytes
        self.owner = owner
    }

    /// Numbers in the tensor.
    package var count: Int { shape.reduce(1, *) }

    /// Numbers along the innermost axis: K of a matrix, the length of a vector.
    package var columns: Int { shape.last ?? 1 }

    /// Rows of a matrix (all outer axes together): N.
    package var rows: Int { columns == 0 ? 0 : count / columns }

    /// Bytes of one row; rows of block types are whole numbers of blocks.
    package var rowBytes: Int { columns / type.blockWeights * type.blockBytes }

    /// The bytes of row `n`.
    package func row(_ n: Int) -> UnsafeRawBufferPointer {
        precondition(n >= 0 && n < rows, "row \(n) of \(name) with \(rows) rows")
        return UnsafeRawBufferPointer(rebasing: bytes[n * rowBytes..<(n + 1) * rowBytes])
    }
}
