import CrumbModel
package import CrumbTensor
package import CrumbThreads

/// Looks for weights that are not finite: NaN and infinities in plain numbers, and in the fp16 scales of GGUF's blocks,
/// whose codes cannot be anything but numbers.
///
/// It reads each weight matrix once, which a first pass through the model would do anyway.
package struct WeightScan {
    private let pool: ThreadPool

    /// Bytes that one call of a thread looks at, about.
    private static let part = 1 << 20

    package init(pool: ThreadPool) { self.pool = pool }

    /// - Throws: `EngineError` that names the tensor and the row of the first such number.
    func check(_ weights: DecoderWeights, path: String) throws {
        var matrices = [weights.embedding, weights.head]
        for layer in weights.layers { matrices += Projection.allCases.map { layer[$0] } }
        for matrix in matrices {
            guard case .dense(let view) = matrix.storage else { continue }
            if let row = firstBadRow(view) {
                throw EngineError(
                    "\(path): row \(row) of \(view.name) holds a number that is not finite; the file is damaged")
            }
        }
    }

    /// The first row of a matrix with such a number; nil where all are finite.
    package func firstBadRow(_ view: TensorView) -> Int? {
        let halves = Self.scaleOffsets(view.type)
        let rowsInPart = max(1, Self.part / max(view.rowBytes, 1))
        let parts = (view.rows + rowsInPart - 1) / rowsInPart
        var bad = [Int](repeating: view.rows, count: parts)
        bad.withUnsafeMutableBufferPointer { bad in
            let found = bad
            pool.run(count: parts) { part in
                let rows = part * rowsInPart..<min((part + 1) * rowsInPart, view.rows)
                found[part] = rows.first { !Self.isFinite(view.row($0), view.type, halves) } ?? view.rows
            }
        }
        return bad.first { $0 < view.rows }
    }

    /// Where the fp16 scales stand in a block of a type, as in `Dequantizer`.
    private static func scaleOffsets(_ type: StorageType) -> [Int] {
        switch type {
        case .q4_0, .q5_0, .q8_0: [0]
        case .q4_1, .q5_1, .q4_K, .q5_K: [0, 2]
        case .q2_K: [80, 82]
        case .q3_K: [108]
        case .q6_K: [208]
        case .f32, .f16, .bf16, .i8, .u8, .u16, .i32, .i64: []
        }
    }

    private static func isFinite(_ row: UnsafeRawBufferPointer, _ type: StorageType, _ scales: [Int]) -> Bool {
        // Exponents of all ones mean NaN or infinity. The loops have no exit, so that they become vector instructions.
        switch type {
        case .f32:
            return row.withMemoryRebound(to: UInt32.self) { numbers in
                numbers.reduce(into: false) { bad, bits in bad = bad || bits & 0x7F80_0000 == 0x7F80_0000 } == false
            }
        case .f16, .bf16:
            let exponent: UInt16 = type == .f16 ? 0x7C00 : 0x7F80
            return row.withMemoryRebound(to: UInt16.self) { numbers in
                numbers.reduce(into: false) { bad, bits in bad = bad || bits & exponent == exponent } == false
            }
        default:
            for block in stride(from: 0, to: row.count, by: type.blockBytes) {
                for offset in scales {
                    let bits = row.loadUnaligned(fromByteOffset: block + offset, as: UInt16.self)
                    if bits & 0x7C00 == 0x7C00 { return false }
                }
            }
            return true
        }
    }
}
