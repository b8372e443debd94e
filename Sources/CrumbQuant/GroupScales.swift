import CrumbABI

/// Choice of first- and second-order scales for a row block.
extension RowBlock {
    /// Sets every row scale from the groups' best unquantized scales, so that the widest group has the highest code.
    ///
    /// Best means the smallest sum of weight x (w - q)^2 with nearest levels; outliers do not count.
    func chooseRowScales(weight: [Float]) {
        guard !storage.hasFirstOrderScales else {
            rowScales.update(repeating: 1, count: Int(shape.segments) * 2 * rows)
            return
        }
        let best = UnsafeMutablePointer<Float>.allocate(capacity: groups * rows)
        defer { best.deallocate() }
        best.initialize(repeating: 0, count: groups * rows)
        for index in 0..<groups { bestScales(group: index, weight: weight, into: best + index * rows) }
        let highest = Float(16 + CRUMB_SCALE_BIAS - 1)
        for segment in 0..<Int(shape.segments) {
            for region in 0..<2 {
                let target = rowScales + (segment * 2 + region) * rows
                for row in 0..<rows { target[row] = 0 }
                for index in groups(segment: segment, region: region) {
                    for row in 0..<rows where belongs(group: index, row, region: region) {
                        target[row] = max(target[row], best[index * rows + row])
                    }
                }
                for row in 0..<rows { target[row] = Self.half(target[row] / highest) }
            }
        }
    }

    /// A positive number rounded to half precision, kept away from zero so that it can be divided by.
    static func half(_ value: Float) -> Float {
        max(Float(Float16(min(value, 65504))), Float(Float16.leastNonzeroMagnitude))
    }

    /// The best unquantized scales of a group, R of them.
    ///
    /// - Parameter costs: What they cost, R of them.
    func bestScales(
        group index: Int, weight: [Float], into best: UnsafeMutablePointer<Float>,
        costs: UnsafeMutablePointer<Float>? = nil
    ) {
        let top = top(group: index)
        let largest = [Float](unsafeUninitializedCapacity: rows) { buffer, count in
            if let base = buffer.baseAddress {
                findLargest(weights + index * group * rows, group: index, into: base)
            }
            count = rows
        }
        var lowest = [Float](repeating: .infinity, count: rows)
        var errors = [Float](repeating: 0, count: rows)
        for trial in QuantizerSettings.scaleTrials {
            for row in 0..<rows { errors[row] = 0 }
            for channel in index * group..<(index + 1) * group where weight[channel] > 0 {
                let w = weights + channel * rows
                let skip = isOutlier + channel * rows
                let importance = weight[channel]
                for row in 0..<rows {
                    let scale = max(largest[row] / top[row] * trial, 1e-20)
                    let error = w[row] - scale * nearestLevel(w[row] / scale, top: top[row])
                    errors[row] += importance * error * error * (1 - skip[row])
                }
            }
            for row in 0..<rows where errors[row] < lowest[row] {
                lowest[row] = errors[row]
                best[row] = largest[row] / top[row] * trial
            }
        }
        costs?.update(from: lowest, count: rows)
    }

    /// The largest |target| of each row that is no outlier, of the 32 channels of a group.
    private func findLargest(
        _ targets: UnsafePointer<Float>, group index: Int, into largest: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<rows { largest[row] = 0 }
        for channel in 0..<group {
            let skip = isOutlier + (index * group + channel) * rows
            for row in 0..<rows {
                largest[row] = max(largest[row], abs(targets[channel * rows + row]) * (1 - skip[row]))
            }
        }
    }

    /// Sets the scale code of a group to the one with the smallest sum of weight x (target - q)^2 at nearest levels.
    ///
    /// - Parameter targets: (32, R): what the group's channels should come to, error feedback included.
    func chooseScaleCodes(group index: Int, targets: UnsafePointer<Float>, weight: [Float], scratch: inout ScaleScratch)
    {
        let top = top(group: index)
        let rowScale = rowScale(group: index)
        let codes = scaleCodes + index * rows
        for row in 0..<rows {
            scratch.lowest[row] = .infinity
            codes[row] = Float(CRUMB_SCALE_BIAS)
        }
        if storage.hasFirstOrderScales { findLargest(targets, group: index, into: scratch.largest) }
        for trial in 0..<(storage.hasFirstOrderScales ? QuantizerSettings.scaleTrials.count : 16) {
            for row in 0..<rows {
                scratch.code[row] =
                    storage.hasFirstOrderScales
                    ? Self.half(scratch.largest[row] / top[row] * QuantizerSettings.scaleTrials[trial])
                    : Float(trial + Int(CRUMB_SCALE_BIAS))
                scratch.scale[row] = rowScale[row] * scratch.code[row]
                scratch.inverse[row] = 1 / scratch.scale[row]
                scratch.errors[row] = 0
            }
            for channel in 0..<group where weight[index * group + channel] > 0 {
                let t = targets + channel * rows
                let skip = isOutlier + (index * group + channel) * rows
                let importance = weight[index * group + channel]
                for row in 0..<rows {
                    let error = t[row] - scratch.scale[row] * nearestLevel(t[row] * scratch.inverse[row], top: top[row])
                    scratch.errors[row] += importance * error * error * (1 - skip[row])
                }
            }
            for row in 0..<rows where scratch.errors[row] < scratch.lowest[row] {
                scratch.lowest[row] = scratch.errors[row]
                codes[row] = scratch.code[row]
            }
        }
    }
}

/// Row-sized working memory of `chooseScaleCodes`, made once per block.
struct ScaleScratch {
    let lowest: UnsafeMutablePointer<Float>
    let errors: UnsafeMutablePointer<Float>
    let scale: UnsafeMutablePointer<Float>
    let inverse: UnsafeMutablePointer<Float>
    /// The scale code that is tried.
    let code: UnsafeMutablePointer<Float>
    let largest: UnsafeMutablePointer<Float>

    init(rows: Int) {
        lowest = .allocate(capacity: 6 * rows)
        errors = lowest + rows
        scale = lowest + 2 * rows
        inverse = lowest + 3 * rows
        code = lowest + 4 * rows
        largest = lowest + 5 * rows
        lowest.initialize(repeating: 0, count: 6 * rows)
    }

    func deallocate() { lowest.deallocate() }
}
