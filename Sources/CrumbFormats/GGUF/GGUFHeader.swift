// Everything in a GGUF file but the tensors' bytes (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, v3).
// Counts and lengths are compared with the bytes that are left before anything is allocated for them.

package import CrumbJSON
import CrumbTensor

/// The metadata and the table of tensors of a GGUF file.
package struct GGUFHeader: Sendable {
    /// All metadata in the order of the file; integers beyond 63 bits become doubles.
    package let metadata: JSONObject
    /// The table of tensors in the order of the file.
    package let tensors: [GGUFTensor]

    /// Reads and checks the header of a file that lies in memory as a whole.
    ///
    /// - Parameter path: names the file in errors.
    /// - Throws: `FormatError` for everything that is damaged, inconsistent or not supported.
    package init(_ file: UnsafeRawBufferPointer, path: String) throws(FormatError) {
        var parser = unsafe GGUFParser(file, path: path)
        let (keyCount, tensorCount) = try parser.preamble()
        metadata = try parser.metadata(count: keyCount)
        tensors = try parser.tensors(count: tensorCount, metadata: metadata)
    }
}

/// One row of the table of tensors.
package struct GGUFTensor: Sendable, Equatable {
    /// Name, type and shape; the shape has the outermost axis first, reversed from the file.
    package let layout: TensorLayout
    /// The first byte, counted from the start of the file.
    package let offset: Int

    package var name: String { layout.name }
}

/// What a GGUF file may hold; anything beyond is refused before memory is spent on it.
enum GGUFLimits {
    /// Metadata and the table of tensors together. The largest published vocabularies take 10 MB.
    static let headerBytes = 512 << 20
    static let keys = 65_536
    static let tensors = 100_000
    /// The specification's own limit.
    static let keyBytes = 65_535
    /// GGML's is 63.
    static let nameBytes = 255
    static let stringBytes = 16 << 20
    /// Array elements in all metadata together.
    static let elements = 4_000_000
    static let arrayDepth = 4
    static let rank = 4
    static let alignments = 8...65_536
    /// A length of 8 bytes, a key of 1, a type of 4, a value of 1.
    static let smallestKeyBytes = 14
    /// A length of 8 bytes, a name of 1, a rank of 4, a dimension of 8, a type of 4, an offset of 8.
    static let smallestTensorBytes = 33
}
