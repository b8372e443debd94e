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
        let errors = UnsafeMutablePointer<Float>.allocate(capacity: group * rows)
        errors.initialize(repeating: 0, count: group * rows)
        var scales = ScaleScratch(rows: rows)
        defer {
            errors.deallocate()
            scales.deallocate()
        }
        for index in 0..<groups {
            let first = index * group
            chooseScaleCodes(group: index, targets: targets + first * rows, weight: factor.weight, scratch: &scales)
            for channel in 0..<group {
                roundChannel(first + channel, target: targets + (first + channel) * rows, error: errors + channel * rows)
                guard feedback else { continue }
                let row = factor.feedback + (first + channel) * positions + first
                for later in (channel + 1)..<group {
                    let share = row[later]
                    let target = targets + (first + later) * rows
                    let error = errors + channel * rows
                    for r in 0..<rows { target[r] += share * error[r] }
                }
            }
            let next = first + group
            guard feedback, next < positions else { continue }
            blas.multiply(
                factor.feedback + first * positions + next, transposeA: true, lda: positions, errors, ldb: rows,
                into: targets + next * rows, ldc: rows, m: positions - next, n: rows, k: group, beta: 1)
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
            let level = nearestLevel(target[row] / scale, top: top)
            levels[offset + row] = level
            let value = isOutlier[offset + row] != 0 ? target[row] : scale * level
            quantized[offset + row] = value
            // LDLQ feeds back the distance to the source weight, not to the target.
            error[row] = weights[offset + row] - value
        }
    }
}
