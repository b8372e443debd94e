/// How the numbers of a tensor lie in memory.
///
/// Plain types store one number after the other, little-endian; the `q…` types are GGML's blocks of 32 or 256 weights
/// (the GGUF specification and ggml's block structures are the source of their sizes).
package enum StorageType: String, Sendable, CaseIterable {
    case f32, f16, bf16, i8, u8, u16, i32, i64
    case q4_0, q4_1, q5_0, q5_1, q8_0, q2_K, q3_K, q4_K, q5_K, q6_K

    /// Weights in one indivisible block.
    package var blockWeights: Int {
        switch self {
        case .f32, .f16, .bf16, .i8, .u8, .u16, .i32, .i64: 1
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0: 32
        case .q2_K, .q3_K, .q4_K, .q5_K, .q6_K: 256
        }
    }

    /// Bytes of one block.
    package var blockBytes: Int {
        switch self {
        case .i8, .u8: 1
        case .f16, .bf16, .u16: 2
        case .f32, .i32: 4
        case .i64: 8
        case .q4_0: 18
        case .q4_1: 20
        case .q5_0: 22
        case .q5_1: 24
        case .q8_0: 34
        case .q2_K: 84
        case .q3_K: 110
        case .q4_K: 144
        case .q5_K: 176
        case .q6_K: 210
        }
    }

    /// Whether the numbers are weights that can be turned into fp32 (integers are indices or codes).
    package var isWeight: Bool {
        switch self {
        case .i8, .u8, .u16, .i32, .i64: false
        default: true
        }
    }

    /// Bytes of `count` numbers, or nil when they do not fill whole blocks or the product overflows.
    package func byteCount(of count: Int) -> Int? {
        guard count >= 0, count % blockWeights == 0 else { return nil }
        let (bytes, overflow) = (count / blockWeights).multipliedReportingOverflow(by: blockBytes)
        return overflow ? nil : bytes
    }
}
