package import CrumbPacked
package import CrumbTensor

/// The weight matrix W of one linear layer, (N, K), in whatever form it is stored, and its bias: y = W x + b.
package struct LinearWeight: Sendable {
    package enum Storage: Sendable {
        /// Any storage type that is a weight, rows one after the other.
        case dense(TensorView)
        /// The 2/4/16-bit layout of `crumb_packed.h`.
        case packed(PackedMatrix)
        /// 8 or 4 bits in groups of 32, for the embedding and the head.
        case grouped(GroupedMatrix)
    }

    /// The tensor's name without `.weight`, for errors and reports.
    package let name: String
    package let storage: Storage
    /// N numbers, or nil.
    package let bias: [Float]?

    package init(name: String, storage: Storage, bias: [Float]? = nil) {
        self.name = name
        self.storage = storage
        self.bias = bias
        precondition(bias.map { $0.count == rows } ?? true, "the bias of \(name) does not have \(rows) numbers")
    }

    /// N: output features.
    package var rows: Int {
        switch storage {
        case .dense(let view): view.rows
        case .packed(let matrix): matrix.shape.n
        case .grouped(let matrix): matrix.rows
        }
    }

    /// K: input features.
    package var columns: Int {
        switch storage {
        case .dense(let view): view.columns
        case .packed(let matrix): matrix.shape.k
        case .grouped(let matrix): matrix.columns
        }
    }

    /// Bytes that one product reads: codes, scales and outliers.
    package var byteCount: Int {
        switch storage {
        case .dense(let view): view.bytes.count
        case .packed(let matrix): matrix.records.bytes.count
        case .grouped(let matrix): matrix.codes.bytes.count + matrix.scales.bytes.count
        }
    }
}

/// A matrix of 8- or 4-bit codes with one fp16 scale for each run of 32 input features.
///
/// 8 bits: weight = scale x signed code. 4 bits: weight = scale x (code - 8); feature 2i in the low half of byte i of
/// the row, feature 2i + 1 in the high half.
package struct GroupedMatrix: Sendable {
    /// Input features that share a scale.
    package static let groupSize = 32

    /// 8 or 4.
    package let bits: Int
    /// [N, K] of i8, or [N, K / 2] of u8.
    package let codes: TensorView
    /// [N, K / 32] of f16.
    package let scales: TensorView
    package let rows: Int
    package let columns: Int

    /// - Throws: `ModelError` where codes and scales do not fit each other or K is no multiple of 32.
    package init(bits: Int, codes: TensorView, scales: TensorView) throws(ModelError) {
        guard bits == 8 || bits == 4 else {
            throw ModelError("\(codes.name) has \(bits)-bit groups, but only 8 and 4 bits are known")
        }
        guard codes.shape.count == 2, scales.shape.count == 2, codes.type == (bits == 8 ? .i8 : .u8),
            scales.type == .f16
        else {
            throw ModelError(
                "\(codes.name): \(bits)-bit groups need a matrix of \(bits == 8 ? "i8" : "u8") codes and one of f16 scales"
            )
        }
        let columns = codes.shape[1] * (8 / bits)
        guard columns > 0, columns % Self.groupSize == 0,
            scales.shape == [codes.shape[0], columns / Self.groupSize]
        else {
            throw ModelError(
                "\(codes.name): scales of shape \(scales.shape) do not fit codes of shape \(codes.shape) in groups of 32"
            )
        }
        self.bits = bits
        self.codes = codes
        self.scales = scales
        rows = codes.shape[0]
        self.columns = columns
    }
}

extension GroupedMatrix {
    /// Writes row `n` as fp32, K numbers.
    package func dequantizeRow(_ n: Int, into output: UnsafeMutablePointer<Float>) {
        let (codes, scales) = (codes.row(n), scales.row(n))
        for k in 0..<columns {
            let group = k / Self.groupSize
            let scale = halfValue(
                UInt16(littleEndian: scales.loadUnaligned(fromByteOffset: group * 2, as: UInt16.self)))
            let value = bits == 8 ? Int(Int8(bitPattern: codes[k])) : Int(codes[k / 2] >> UInt8(k % 2 * 4) & 15) - 8
            output[k] = scale * Float(value)
        }
    }
}
