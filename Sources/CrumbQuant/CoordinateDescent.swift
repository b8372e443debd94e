import CrumbABI
import CrumbBLAS

/// Passes over all codes, scales and outliers of a row block, each set to its best given all the others.
///
/// Keeps G = H E, E = W - Q, in `scratch`: the loss tr(E^T H E) falls with every accepted change. Changing q_j by d
/// changes the loss by H_jj d^2 - 2 d G_j, so the best q_j is q_j + G_j / H_jj.
extension RowBlock {
    func descend(_ factor: ErrorFactor, passes: Int, blas: BLAS) {
        guard passes > 0 else { return }
        let changes = UnsafeMutablePointer<Float>.allocate(capacity: Self.span * rows)
        let work = UnsafeMutablePointer<Float>.allocate(capacity: 3 * rows)
        defer {
            changes.deallocate()
            work.deallocate()
        }
        computeGradient(factor, blas: blas)
        for pass in 0..<passes {
            for start in stride(from: 0, to: positions, by: Self.span) {
                let end = min(start + Self.span, positions)
                changes.initialize(repeating: 0, count: Self.span * rows)
                for first in stride(from: start, to: end, by: group) {
                    let own = changes + (first - start) * rows
                    improveScale(group: first / group, factor, changes: own, work: work)
                    for channel in first..<first + group { improveChannel(channel, factor, changes: own) }
                    // What the group's channels saw at once, its neighbours see now, and all others after the span.
                    spread(own, of: first..<first + group, into: start..<first, factor, blas: blas)
                    spread(own, of: first..<first + group, into: first + group..<end, factor, blas: blas)
                }
                spread(changes, of: start..<end, into: 0..<start, factor, blas: blas)
                spread(changes, of: start..<end, into: end..<positions, factor, blas: blas)
            }
            if pass + 1 < passes, !storage.hasFirstOrderScales { improveRowScales(factor, blas: blas) }
        }
    }

    /// G = H (W - Q) from the codes as they are.
    private func computeGradient(_ factor: ErrorFactor, blas: BLAS) {
        let count = positions * rows
        let difference = UnsafeMutablePointer<Float>.allocate(capacity: count)
        defer { difference.deallocate() }
        for i in 0..<count { difference[i] = weights[i] - quantized[i] }
        blas.multiply(
            factor.hessian, lda: positions, difference, ldb: rows, into: scratch, ldc: rows, m: positions, n: rows,
            k: positions)
    }

    /// G -= H[others, channels] changes.
    private func spread(
        _ changes: UnsafePointer<Float>, of channels: Range<Int>, into others: Range<Int>, _ factor: ErrorFactor,
        blas: BLAS
    ) {
        guard !others.isEmpty else { return }
        blas.multiply(
            factor.hessian + others.lowerBound * positions + channels.lowerBound, lda: positions, changes, ldb: rows,
            into: scratch + others.lowerBound * rows, ldc: rows, m: others.count, n: rows, k: channels.count,
            alpha: -1, beta: 1)
    }

    /// Adds `delta` (R values) to the channel's quantized weights and takes it out of G within its group.
    @inline(__always)
    private func apply(
        _ delta: UnsafePointer<Float>, to channel: Int, _ factor: ErrorFactor, changes: UnsafeMutablePointer<Float>
    ) {
        let first = channel / group * group
        let q = quantized + channel * rows
        let change = changes + (channel - first) * rows
        for row in 0..<rows {
            q[row] += delta[row]
            change[row] += delta[row]
        }
        let h = factor.hessian + channel * positions + first
        for other in 0..<group {
            let share = h[other]
            let g = scratch + (first + other) * rows
            for row in 0..<rows { g[row] -= share * delta[row] }
        }
    }

    private func improveChannel(_ channel: Int, _ factor: ErrorFactor, changes: UnsafeMutablePointer<Float>) {
        let index = channel / group
        let top = top(group: index)
        let rowScale = rowScale(group: index)
        let code = scaleCodes + index * rows
        let g = scratch + channel * rows
        let q = quantized + channel * rows
        let level = levels + channel * rows
        let outlier = isOutlier + channel * rows
        let curvature = 1 / factor.hessian[channel * positions + channel]
        withUnsafeTemporaryAllocation(of: Float.self, capacity: rows) { buffer in
            guard let delta = buffer.baseAddress else { return }
            for row in 0..<rows {
                let best = q[row] + g[row] * curvature
                let scale = rowScale[row] * code[row]
                let new = nearestLevel(best / scale, top: top[row])
                level[row] = new
                delta[row] = (outlier[row] != 0 ? best : scale * new) - q[row]
            }
            apply(delta, to: channel, factor, changes: changes)
        }
    }

    /// Moves the group's scale code to the neighbour of its best scale for the present levels, in closed form:
    /// s + (v . G) / (v^T H v) with v the levels of the group.
    private func improveScale(
        group index: Int, _ factor: ErrorFactor, changes: UnsafeMutablePointer<Float>,
        work: UnsafeMutablePointer<Float>
    ) {
        let first = index * group
        let slope = work
        let curvature = work + rows
        let step = work + 2 * rows
        for row in 0..<rows {
            slope[row] = 0
            curvature[row] = 0
        }
        for i in 0..<group {
            let offset = (first + i) * rows
            let h = factor.hessian + (first + i) * positions + first
            for row in 0..<rows { slope[row] += free(offset, row) * scratch[offset + row] }
            for j in 0..<group {
                let share = h[j]
                let other = (first + j) * rows
                for row in 0..<rows { curvature[row] += share * free(offset, row) * free(other, row) }
            }
        }
        let rowScale = rowScale(group: index)
        let code = scaleCodes + index * rows
        let lowest = Float(CRUMB_SCALE_BIAS)
        for row in 0..<rows {
            let best = code[row] + slope[row] / (max(curvature[row], 1e-30) * rowScale[row])
            let bounded = best < lowest ? lowest : (best > lowest + 15 ? lowest + 15 : best)
            let new = storage.hasFirstOrderScales ? Self.half(max(best, 0.25 * code[row])) : nearest(bounded)
            step[row] = (new - code[row]) * rowScale[row]
            code[row] = new
        }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: rows) { buffer in
            guard let delta = buffer.baseAddress else { return }
            for i in 0..<group {
                let offset = (first + i) * rows
                for row in 0..<rows { delta[row] = step[row] * free(offset, row) }
                apply(delta, to: first + i, factor, changes: changes)
            }
        }
    }

    /// The level of a weight that moves with its group's scale; zero for outliers, which do not.
    @inline(__always)
    private func free(_ offset: Int, _ row: Int) -> Float { levels[offset + row] * (1 - isOutlier[offset + row]) }

    /// Scales each region of each row by its best factor for the present codes, r + (u . G) / (u^T H u) with u the
    /// region's levels times their scale codes, one region after the other; G follows each.
    private func improveRowScales(_ factor: ErrorFactor, blas: BLAS) {
        let count = positions * rows
        let direction = UnsafeMutablePointer<Float>.allocate(capacity: 2 * count)
        defer { direction.deallocate() }
        let image = direction + count
        for segment in 0..<Int(shape.segments) {
            for region in 0..<2 {
                let range = groups(segment: segment, region: region)
                guard !range.isEmpty else { continue }
                let first = range.lowerBound * group
                let width = range.count * group
                for index in range {
                    for channel in index * group..<(index + 1) * group {
                        let offset = channel * rows
                        for row in 0..<rows {
                            direction[offset + row] =
                                belongs(group: index, row, region: region)
                                ? free(offset, row) * scaleCodes[index * rows + row] : 0
                        }
                    }
                }
                // H u for all channels: G moves everywhere.
                blas.multiply(
                    factor.hessian + first, lda: positions, direction + first * rows, ldb: rows, into: image,
                    ldc: rows, m: positions, n: rows, k: width)
                moveRowScale(
                    rowScales + (segment * 2 + region) * rows, direction, image, channels: first..<first + width)
            }
        }
    }

    private func moveRowScale(
        _ scale: UnsafeMutablePointer<Float>, _ direction: UnsafePointer<Float>, _ image: UnsafePointer<Float>,
        channels: Range<Int>
    ) {
        var slope = [Float](repeating: 0, count: rows)
        var curvature = [Float](repeating: 0, count: rows)
        for i in channels.lowerBound * rows..<channels.upperBound * rows {
            let row = i % rows
            slope[row] += direction[i] * scratch[i]
            curvature[row] += direction[i] * image[i]
        }
        let steps = (0..<rows).map { row -> Float in
            guard curvature[row] > 0 else { return 0 }
            let new = Self.half(max(scale[row] + slope[row] / curvature[row], 0.25 * scale[row]))
            let step = new - scale[row]
            scale[row] = new
            return step
        }
        for i in channels.lowerBound * rows..<channels.upperBound * rows {
            quantized[i] += steps[i % rows] * direction[i]
        }
        for i in 0..<positions * rows { scratch[i] -= steps[i % rows] * image[i] }
    }
}
