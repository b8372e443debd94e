package import CrumbModel
import CrumbSIMD

extension SIMDBackend {
    package func attention(_ step: AttentionStep, into output: FloatMatrix) {
        step.rotary.withRows { rotary in
            for run in step.runs {
                forEachRow(run.count, work: 4 * step.queriesKeysValues.columns) { index in
                    rotateAndAppend(step, run, index, rotary)
                }
            }
        }
        let singles = step.runs.filter { $0.count == 1 }
        if !singles.isEmpty { attendSingles(step, singles, into: output) }
        for run in step.runs where run.count > 1 { attendBlocks(step, run, into: output) }
    }

    /// Rotates q and k of token `index` of a run and writes its k and v to the cache.
    private func rotateAndAppend(
        _ step: AttentionStep, _ run: AttentionStep.Run, _ index: Int, _ rotary: UnsafePointer<Float>
    ) {
        let d = step.headDim
        let position = run.start + index
        let query = step.queriesKeysValues.row(run.firstRow + index)
        let cosine = rotary + position * d
        let sine = cosine + d / 2
        for head in 0..<step.heads + step.keyValueHeads {
            let low = query + head * d
            let high = low + d / 2
            for i in 0..<d / 2 {
                let (a, b) = (low[i], high[i])
                low[i] = a * cosine[i] - b * sine[i]
                high[i] = b * cosine[i] + a * sine[i]
            }
        }
        let key = query + step.heads * d
        let count = step.keyValueHeads * d
        let offset = position * run.cache.rowBytes
        store(key, count, run.cache.keys(step.layer) + offset, run.cache.element)
        store(key + count, count, run.cache.values(step.layer) + offset, run.cache.element)
    }

    private func store(
        _ source: UnsafePointer<Float>, _ count: Int, _ target: UnsafeMutableRawPointer, _ element: KVCache.Element
    ) {
        switch element {
        case .half: crumb_to_half(source, count, target.assumingMemoryBound(to: UInt16.self))
        case .float: target.assumingMemoryBound(to: Float.self).update(from: source, count: count)
        }
    }

    // MARK: one token of a sequence

    /// Positions of one job: few enough that a head's keys and values stay in the L2 cache for the other heads that
    /// read them, and a long context is spread over many threads.
    private static let splitPositions = 512

    /// What a job leaves of its positions: the largest score, the sum of exp(score - largest), and the weighted values.
    private struct Part {
        let highest: UnsafeMutablePointer<Float>
        let total: UnsafeMutablePointer<Float>
        let values: UnsafeMutablePointer<Float>

        /// Parts lie one after the other, `stride(d)` numbers each.
        init(_ base: UnsafeMutablePointer<Float>, index: Int, _ d: Int) {
            highest = base + index * Self.stride(d)
            total = highest + 1
            values = highest + 16
        }

        static func stride(_ d: Int) -> Int { 16 + (d + 15) / 16 * 16 }
    }

    /// Decode: one job for each sequence, head and stretch of its context; then the stretches are put together.
    private func attendSingles(_ step: AttentionStep, _ runs: [AttentionStep.Run], into output: FloatMatrix) {
        let (d, width) = (step.headDim, Self.splitPositions)
        let group = step.heads / step.keyValueHeads
        // Stretches start at multiples of their width, so that a sequence's result is the same in any company.
        let splits = runs.map { $0.start / width + 1 - step.firstVisible(from: $0.start) / width }
        let most = splits.max() ?? 1
        let scratch = attentionScratch.bytes(runs.count * step.heads * most * Part.stride(d) * 4)
        let parts = scratch.assumingMemoryBound(to: Float.self)
        // Heads vary fastest: threads that work at the same time share keys and values.
        workers.run(jobs: runs.count * most * step.heads, scratchBytes: width * 4) { job, scratch in
            let (head, rest) = (job % step.heads, job / step.heads)
            let (split, index) = (rest % most, rest / most)
            guard split < splits[index] else { return }
            let run = runs[index]
            let first = step.firstVisible(from: run.start)
            let low = (first / width + split) * width
            let visible = max(low, first)..<min(low + width, run.start + 1)
            let cache = CacheWindow(run.cache, step.layer, column: head / group * d, d)
            let part = Part(parts, index: job, d)
            let scores = scratch.assumingMemoryBound(to: Float.self)
            cache.scores(step.queriesKeysValues.row(run.firstRow) + head * d, visible, into: scores)
            (part.highest.pointee, part.total.pointee) = exponentials(
                scores, visible.count, scale: 1 / Float(d).squareRoot(), floor: -.infinity)
            cache.weightedSum(scores, visible, into: part.values)
        }
        for (index, run) in runs.enumerated() {
            for head in 0..<step.heads {
                let target = output.row(run.firstRow) + head * d
                let split = (0..<splits[index]).lazy.map {
                    Part(parts, index: (index * most + $0) * step.heads + head, d)
                }
                let highest = split.reduce(-Float.infinity) { max($0, $1.highest.pointee) }
                var total: Float = 0
                for part in split {
                    let share = part.highest.pointee == highest ? 1 : exponential(part.highest.pointee - highest)
                    total += share * part.total.pointee
                    part.total.pointee = share
                }
                target.update(repeating: 0, count: d)
                for part in split { crumb_add_scaled(target, part.total.pointee / total, part.values, d) }
            }
        }
    }
}

func exponential(_ x: Float) -> Float {
    var (x, result) = (x, Float(0))
    crumb_exp(&x, 1, &result)
    return result
}

/// Turns scores into exp(scale x score - m) in place, where m is the largest scale x score, or `floor` if that is more.
///
/// - Returns: m, and the sum of the results.
func exponentials(
    _ scores: UnsafeMutablePointer<Float>, _ count: Int, scale: Float, floor: Float
) -> (highest: Float, total: Float) {
    typealias Lanes = SIMD16<Float>
    let whole = count / 16 * 16
    var highest = Lanes(repeating: -.infinity)
    let raw = UnsafeMutableRawPointer(scores)
    for i in stride(from: 0, to: whole, by: 16) {
        let scaled = raw.loadUnaligned(fromByteOffset: 4 * i, as: Lanes.self) * scale
        highest.replace(with: scaled, where: scaled .> highest)
        raw.storeBytes(of: scaled, toByteOffset: 4 * i, as: Lanes.self)
    }
    var top = max(highest.max(), floor)
    for i in whole..<count {
        scores[i] *= scale
        top = max(top, scores[i])
    }
    for i in stride(from: 0, to: whole, by: 16) {
        let shifted = raw.loadUnaligned(fromByteOffset: 4 * i, as: Lanes.self) - top
        raw.storeBytes(of: shifted, toByteOffset: 4 * i, as: Lanes.self)
    }
    for i in whole..<count { scores[i] -= top }
    crumb_exp(scores, count, scores)
    var sum = Lanes.zero
    for i in stride(from: 0, to: whole, by: 16) { sum += raw.loadUnaligned(fromByteOffset: 4 * i, as: Lanes.self) }
    var total = sum.sum()
    for i in whole..<count { total += scores[i] }
    return (top, total)
}
