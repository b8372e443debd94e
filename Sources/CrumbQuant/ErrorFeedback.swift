import CrumbBLAS

/// First choice of all codes, channel by channel.
extension RowBlock {
    /// Chooses codes with error feedback: what rounding loses in one channel, later channels make up for.
    ///
    /// With `feedback` false every weight goes to its nearest level (`rtn`). Scale codes are chosen when their group is
    /// reached, for the targets as they are then.
    func chooseCodes(_ factor: ErrorFactor, feedback: Bool, blas: BLAS) {
        let targets = scratch
        targets.update(from: weights, count: positions * rows)
        let errors = UnsafeMutablePointer<Float>.allocate(capacity: Self.span * rows)
        errors.initialize(repeating: 0, count: Self.span * rows)
        var scales = ScaleScratch(rows: rows)
        defer {
            errors.deallocate()
            scales.deallocate()
        }
        /// Adds to the targets of `later` what the channels of `done` lost.
        func feed(_ done: Range<Int>, into later: Range<Int>, errors: UnsafePointer<Float>) {
            guard feedback, !later.isEmpty else { return }
            blas.multiply(
                factor.feedback + done.lowerBound * positions + later.lowerBound, transposeA: true, lda: positions,
                errors, ldb: rows, into: targets + later.lowerBound * rows, ldc: rows, m: later.count, n: rows,
                k: done.count, beta: 1)
        }
        for start in stride(from: 0, to: positions, by: Self.span) {
            let end = min(start + Self.span, positions)
            for first in stride(from: start, to: end, by: group) {
                let target = targets + first * rows
                let error = errors + (first - start) * rows
                chooseScaleCodes(group: first / group, targets: target, weight: factor.weight, scratch: &scales)
                for channel in 0..<group {
                    roundChannel(first + channel, target: target + channel * rows, error: error + channel * rows)
                    if feedback { feedWithinGroup(channel, first: first, factor, targets: target, errors: error) }
                }
                feed(first..<first + group, into: first + group..<end, errors: error)
            }
            feed(start..<end, into: end..<positions, errors: errors)
        }
    }

    /// Adds to the group's later channels what its channel `channel` lost.
    private func feedWithinGroup(
        _ channel: Int, first: Int, _ factor: ErrorFactor, targets: UnsafeMutablePointer<Float>,
        errors: UnsafePointer<Float>
    ) {
        let shares = factor.feedback + (first + channel) * positions + first
        let error = errors + channel * rows
        for later in channel + 1..<max(group, channel + 1) {
            let share = shares[later]
            let target = targets + later * rows
            for row in 0..<rows { target[row] += share * error[row] }
        }
    }

    /// Rounds one channel to its target; an outlier meets its target exactly (up to half precision).
    private func roundChannel(_ channel: Int, target: UnsafePointer<Float>, error: UnsafeMutablePointer<Float>) {
        let index = channel / group
        let top = top(group: index)
        let rowScale = rowScale(group: index)
        let code = scaleCodes + index * rows
        let offset = channel * rows
        for row in 0..<rows {
            let scale = rowScale[row] * code[row]
            let level = nearestLevel(target[row] / scale, top: top[row])
            levels[offset + row] = level
            let value = isOutlier[offset + row] != 0 ? target[row] : scale * level
            quantized[offset + row] = value
            // LDLQ feeds back the distance to the source weight, not to the target.
            error[row] = weights[offset + row] - value
        }
    }
}
