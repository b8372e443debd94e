import CrumbABI
import CrumbPacked

/// Choice of the weights that are kept in 16 bits: in 2-bit regions only but for a variant, a fixed number in every pool.
extension RowBlock {
    /// Marks, in every pool of each 32-row tile, the weights whose rounding would cost most.
    ///
    /// Cost is weight x (w - q)^2 at the group's present scale. Needs `chooseRowScales`; scales should be chosen again
    /// afterwards, for the narrower ranges that are left.
    func chooseOutliers(weight: [Float]) {
        guard shape.outliers_per_tile > 0 else { return }
        precondition(!storage.choosesGroups, "outliers have no regions where rows choose their groups")
        var scratch = ScaleScratch(rows: rows)
        defer { scratch.deallocate() }
        for segment in 0..<Int(shape.segments) {
            for region in storage.hasOutliersEverywhere ? 0..<2 : 1..<2 {
                let range = groups(segment: segment, region: region)
                for index in range {
                    chooseScaleCodes(
                        group: index, targets: weights + index * group * rows, weight: weight, scratch: &scratch)
                }
                markCostliest(channels: range.lowerBound * group..<range.upperBound * group, weight: weight)
            }
        }
    }

    /// Marks the costliest weights of every pool of a region's channels.
    private func markCostliest(channels region: Range<Int>, weight: [Float]) {
        let width = Int(CRUMB_OUTLIER_CHANNELS)
        for first in stride(from: region.lowerBound, to: region.upperBound, by: width) {
            let channels = first..<min(first + width, region.upperBound)
            for tile in stride(from: 0, to: rows, by: Int(CRUMB_TILE_ROWS)) {
                markCostliest(
                    StorageVariant.outliers(in: channels.count, shape), channels: channels,
                    rows: tile..<min(tile + Int(CRUMB_TILE_ROWS), rows), weight: weight)
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
                let error = w - scale * nearestLevel(w / scale, top: top[row])
                costs.append((weight[channel] * error * error, channel * rows + row))
            }
        }
        // Equal costs by place, so that the choice is the same everywhere.
        costs.sort { $0.cost != $1.cost ? $0.cost > $1.cost : $0.index < $1.index }
        for entry in costs.prefix(count) where entry.cost > 0 { isOutlier[entry.index] = 1 }
    }
}
