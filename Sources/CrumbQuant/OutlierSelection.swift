import CrumbABI
import CrumbPacked

/// Choice of the weights that are kept in 16 bits: in 2-bit regions only, a fixed number in every pool.
extension RowBlock {
    /// Marks, in every pool of each 32-row tile, the weights whose rounding would cost most.
    ///
    /// Cost is weight x (w - q)^2 at the group's present scale. Needs `chooseRowScales`; scales should be chosen again
    /// afterwards, for the narrower ranges that are left.
    func chooseOutliers(weight: [Float]) {
        guard shape.outliers_per_tile > 0, shape.twoBitChannels > 0 else { return }
        var scratch = ScaleScratch(rows: rows)
        defer { scratch.deallocate() }
        let pools = shape.outlierPools
        for segment in 0..<Int(shape.segments) {
            for index in groups(segment: segment, region: 1) {
                chooseScaleCodes(
                    group: index, targets: weights + index * group * rows, weight: weight, scratch: &scratch)
            }
            for pool in pools {
                let first = segment * shape.segmentChannels + shape.fourBitChannels + pool.channel
                for tile in stride(from: 0, to: rows, by: Int(CRUMB_TILE_ROWS)) {
                    markCostliest(
                        pool.entries, channels: first..<first + pool.channels,
                        rows: tile..<min(tile + Int(CRUMB_TILE_ROWS), rows), weight: weight)
                }
            }
        }
    }

    private func markCostliest(_ count: Int, channels: Range<Int>, rows range: Range<Int>, weight: [Float]) {
        var costs: [(cost: Float, index: Int)] = []
        costs.reserveCapacity(channels.count * range.count)
        for channel in channels where weight[channel] > 0 {
            let index = channel / group
            let top = top(group: index)
            let rowScale = rowScale(group: index)
            for row in range {
                let scale = rowScale[row] * scaleCodes[index * rows + row]
                let w = weights[channel * rows + row]
                let error = w - scale * nearestLevel(w / scale, top: top)
                costs.append((weight[channel] * error * error, channel * rows + row))
            }
        }
        // Equal costs by place, so that the choice is the same everywhere.
        costs.sort { $0.cost != $1.cost ? $0.cost > $1.cost : $0.index < $1.index }
        for entry in costs.prefix(count) where entry.cost > 0 { isOutlier[entry.index] = 1 }
    }
}
