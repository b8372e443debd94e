package import CrumbTensor
package import CrumbThreads

/// Quantizes an embedding or head to 8 or 4 bits in groups of 32 input features, each row by itself.
///
/// 8 bits: weight = scale x code, code -127 ... 127. 4 bits: weight = scale x (code - 8), code 0 ... 15, feature 2i in
/// the low half of byte i. Scales are fp16.
package struct GroupedQuantizer {
    package let bits: Int
    package let pool: ThreadPool

    /// Features that share a scale.
    private static let group = 32

    package init(bits: Int, pool: ThreadPool) {
        precondition(bits == 8 || bits == 4, "\(bits)-bit groups")
        self.bits = bits
        self.pool = pool
    }

    /// Codes, [N, K] of i8 or [N, K / 2] of u8, and scales, [N, K / 32] of f16.
    ///
    /// - Parameters:
    ///   - rows: N.
    ///   - columns: K, a multiple of 32.
    ///   - row: Writes row n of the source as K floats; called from several threads.
    /// - Throws: `QuantizationError` for a weight that is not finite.
    package func quantize(
        name: String, scalesName: String, rows: Int, columns: Int,
        row: (Int, UnsafeMutablePointer<Float>) -> Void
    ) throws(QuantizationError) -> (codes: TensorView, scales: TensorView) {
        precondition(columns % Self.group == 0)
        let codes = HeapBuffer(byteCount: rows * columns * bits / 8)
        let scales = HeapBuffer(byteCount: rows * columns / Self.group * 2)
        let bad = HeapBuffer(byteCount: rows)
        pool.run(count: rows) { n in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { weights in
                guard let base = weights.baseAddress else { return }
                row(n, base)
                for group in 0..<columns / Self.group {
                    let start = base + group * Self.group
                    let scale = scale(of: start)
                    if !scale.isFinite { bad.mutableBytes[n] = 1 }
                    scales.mutableBytes.storeBytes(
                        of: halfBits(scale), toByteOffset: (n * columns / Self.group + group) * 2, as: UInt16.self)
                    store(start, scale: scale, into: codes, at: n * columns + group * Self.group)
                }
            }
        }
        if let n = bad.bytes.firstIndex(of: 1) {
            throw QuantizationError("row \(n) of \(name) holds NaN or infinity, which cannot be quantized")
        }
        return (
            codes.tensor(name, bits == 8 ? .i8 : .u8, [rows, columns * bits / 8]),
            scales.tensor(scalesName, .f16, [rows, columns / Self.group])
        )
    }

    /// The group's scale in half precision: covering for 8 bits, the best of a few narrower ones for 4 bits.
    private func scale(of weights: UnsafePointer<Float>) -> Float {
        var largest: Float = 0
        for i in 0..<Self.group {
            guard weights[i].isFinite else { return .nan }
            largest = max(largest, abs(weights[i]))
        }
        guard largest > 0 else { return 0 }
        if bits == 8 { return RowBlock.half(largest / 127) }
        var best: (scale: Float, error: Float) = (0, .infinity)
        for trial in 0..<12 {
            let scale = RowBlock.half(largest / (7 + 0.25 * Float(trial)))
            var error: Float = 0
            for i in 0..<Self.group {
                let difference = weights[i] - scale * code(weights[i], scale)
                error += difference * difference
            }
            if error < best.error { best = (scale, error) }
        }
        return best.scale
    }

    private func code(_ weight: Float, _ scale: Float) -> Float {
        guard scale > 0 else { return 0 }
        let code = (weight / scale).rounded(.toNearestOrEven)
        return bits == 8 ? min(max(code, -127), 127) : min(max(code, -8), 7)
    }

    private func store(_ weights: UnsafePointer<Float>, scale: Float, into codes: HeapBuffer, at index: Int) {
        guard scale.isFinite else { return }
        if bits == 8 {
            for i in 0..<Self.group {
                codes.mutableBytes[index + i] = UInt8(bitPattern: Int8(code(weights[i], scale)))
            }
        } else {
            for i in 0..<Self.group / 2 {
                let low = UInt8(code(weights[2 * i], scale) + 8)
                let high = UInt8(code(weights[2 * i + 1], scale) + 8)
                codes.mutableBytes[index / 2 + i] = low | high << 4
            }
        }
    }
}
