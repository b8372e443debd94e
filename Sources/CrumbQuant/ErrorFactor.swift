import CrumbABI
package import CrumbBLAS
package import CrumbPacked

/// H in the order of a packed matrix, and its factorization H = M D M^T with M unit upper triangular.
///
/// With e = w - q the loss of a row is sum_j D_j (e_j + sum_{k<j} e_k M_kj)^2: going through the channels in order,
/// each q_j is best chosen for w_j + sum_{k<j} e_k M_kj (LDLQ; the same codes as GPTQ without an inverse). Shared by
/// all matrices with the same input.
package final class ErrorFactor {
    /// P: permuted channels over all segments, padding included.
    package let positions: Int
    /// H shrunk to its diagonal + damping, permuted, (P, P).
    let hessian: UnsafeMutablePointer<Float>
    /// M, (P, P) row-major; the lower triangle holds nothing of use.
    let feedback: UnsafeMutablePointer<Float>
    /// D, P values: what rounding channel j costs when all later channels may make up for it. Zero for padding.
    private(set) var weight: [Float] = []

    /// - Throws: `QuantizationError` when H has numbers that are not finite, or cannot be factorized.
    package init(
        _ statistics: InputStatistics, order: ChannelOrder, damping: Float, shrinkage: Float, blas: BLAS
    ) throws(QuantizationError) {
        let size = order.channels.count
        let k = statistics.channels
        positions = size
        hessian = .allocate(capacity: size * size)
        feedback = .allocate(capacity: size * size)
        hessian.initialize(repeating: 0, count: size * size)
        feedback.initialize(repeating: 0, count: size * size)
        var mean = 0.0
        for channel in 0..<k { mean += Double(statistics.hessian[channel * k + channel]) / Double(k) }
        guard mean.isFinite else {
            throw QuantizationError(
                "the calibration activations of a matrix with \(k) inputs are not finite: the source model "
                    + "overflows on this text")
        }
        let unit = mean > 0 ? Float(mean) : 1
        let source = order.channels
        for i in 0..<size {
            guard source[i] != UInt16(CRUMB_PADDING_CHANNEL) else {
                // Enough to factorize, too little to weigh in the choice of a scale.
                hessian[i * size + i] = 1e-6 * unit
                continue
            }
            let row = statistics.hessian + Int(source[i]) * k
            for j in 0..<size where source[j] != UInt16(CRUMB_PADDING_CHANNEL) {
                hessian[i * size + j] = row[Int(source[j])] * (i == j ? 1 : 1 - shrinkage)
            }
        }
        let padding = source.map { $0 == UInt16(CRUMB_PADDING_CHANNEL) }
        weight = try Self.factorize(
            hessian, feedback, size: size, damping: damping * unit, padding: padding, blas: blas)
    }

    deinit {
        hessian.deallocate()
        feedback.deallocate()
    }

    /// Bytes an object of this size takes.
    package static func byteCount(positions: Int) -> Int { 2 * positions * positions * MemoryLayout<Float>.size }

    /// Adds `damping` to the diagonal of `hessian` (ten times more at each failure) and fills `feedback`; returns D.
    private static func factorize(
        _ hessian: UnsafeMutablePointer<Float>, _ feedback: UnsafeMutablePointer<Float>, size: Int, damping: Float,
        padding: [Bool], blas: BLAS
    ) throws(QuantizationError) -> [Float] {
        var added: Float = 0
        var step = damping
        for _ in 0..<5 {
            for i in 0..<size where !padding[i] { hessian[i * size + i] += step - added }
            added = step
            // Cholesky of the reversed matrix, L L^T, gives H = U U^T with U upper triangular: U_ij = L_(n-1-i, n-1-j).
            for i in 0..<size {
                for j in 0...i { feedback[i * size + j] = hessian[(size - 1 - i) * size + (size - 1 - j)] }
            }
            if blas.factorizeLower(feedback, n: size) {
                return unitUpper(feedback, size: size, padding: padding)
            }
            step *= 10
        }
        throw QuantizationError(
            "the \(size) x \(size) matrix of calibration activations cannot be factorized; "
                + "use more or more varied calibration text")
    }

    /// Turns L of the reversed matrix into M in place and returns D.
    private static func unitUpper(_ l: UnsafeMutablePointer<Float>, size: Int, padding: [Bool]) -> [Float] {
        // Point reflection moves the lower triangle of L to the upper one of U.
        let last = size * size - 1
        for index in 0..<(size * size / 2) {
            let mirrored = last - index
            let value = l[index]
            l[index] = l[mirrored]
            l[mirrored] = value
        }
        let diagonal = (0..<size).map { l[$0 * size + $0] }
        for i in 0..<size {
            for j in i..<size { l[i * size + j] /= diagonal[j] }
        }
        return (0..<size).map { padding[$0] ? 0 : diagonal[$0] * diagonal[$0] }
    }
}
