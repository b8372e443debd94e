import CrumbModel
import CrumbSIMD

/// Attention of many tokens of one sequence at once, through the kernel of the matrix products.
///
/// A job has one key-value head and a block of queries of all query heads that share it. It walks over the keys in
/// blocks at fixed positions with a running softmax (Dao et al., FlashAttention, arXiv 2205.14135, section 3), so a
/// token's result does not depend on how a prompt is cut into passes.
extension SIMDBackend {
    /// Keys of one step: the depth of a panel, so that a step's weighted values are one chain of additions.
    private static let keyBlock = Int(CRUMB_PANEL_DEPTH)
    private static let panelWidth = Int(CRUMB_PANEL_WIDTH)
    /// Query rows of a job, about: scores of 96 x 256 and accumulators of 96 x 128 numbers fit in the L2 cache.
    private static let jobRows = 96

    func attendBlocks(_ step: AttentionStep, _ run: AttentionStep.Run, into output: FloatMatrix) {
        let group = step.heads / step.keyValueHeads
        let block = min(run.count, max(Self.jobRows / group, 8))
        let blocks = (run.count + block - 1) / block
        let layout = Layout(rows: group * block, d: step.headDim)
        workers.run(jobs: blocks * step.keyValueHeads, scratchBytes: layout.byteCount) { job, scratch in
            // The last blocks see the most keys: they start first.
            let index = blocks - 1 - job / step.keyValueHeads
            let queries = index * block..<min((index + 1) * block, run.count)
            QueryBlock(step, run, keyValueHead: job % step.keyValueHeads, queries, layout, scratch).attend(into: output)
        }
    }

    /// Where a job's numbers lie in its scratch memory, in bytes.
    private struct Layout {
        let scores: Int
        let sums: Int
        let highest: Int
        let totals: Int
        let panel: Int
        let kernel: Int
        let byteCount: Int

        init(rows: Int, d: Int) {
            scores = 0
            sums = scores + rows * keyBlock * 4
            highest = sums + roundedToLine(rows * d * 4)
            totals = highest + roundedToLine(rows * 4)
            panel = totals + roundedToLine(rows * 4)
            kernel = panel + keyBlock * panelWidth * 4
            byteCount = kernel + crumb_gemm_scratch_bytes()
        }
    }

    private struct QueryBlock {
        private let step: AttentionStep
        private let run: AttentionStep.Run
        private let queries: Range<Int>
        private let firstHead: Int
        private let group: Int
        private let cache: CacheWindow
        /// (group x queries, keyBlock): a head's rows together.
        private let scores: UnsafeMutablePointer<Float>
        /// (group x queries, d): values weighted so far, relative to `highest`.
        private let sums: UnsafeMutablePointer<Float>
        /// The largest score of each row so far, and the sum of the weights.
        private let highest: UnsafeMutablePointer<Float>
        private let totals: UnsafeMutablePointer<Float>
        private let panel: UnsafeMutablePointer<Float>
        private let kernelScratch: UnsafeMutableRawPointer

        init(
            _ step: AttentionStep, _ run: AttentionStep.Run, keyValueHead: Int, _ queries: Range<Int>, _ layout: Layout,
            _ scratch: UnsafeMutableRawPointer
        ) {
            self.step = step
            self.run = run
            self.queries = queries
            group = step.heads / step.keyValueHeads
            firstHead = keyValueHead * group
            cache = CacheWindow(run.cache, step.layer, column: keyValueHead * step.headDim, step.headDim)
            func floats(_ offset: Int) -> UnsafeMutablePointer<Float> {
                (scratch + offset).assumingMemoryBound(to: Float.self)
            }
            scores = floats(layout.scores)
            sums = floats(layout.sums)
            highest = floats(layout.highest)
            totals = floats(layout.totals)
            panel = floats(layout.panel)
            kernelScratch = scratch + layout.kernel
        }

        func attend(into output: FloatMatrix) {
            let (d, rows) = (step.headDim, group * queries.count)
            highest.update(repeating: -.infinity, count: rows)
            totals.update(repeating: 0, count: rows)
            sums.update(repeating: 0, count: rows * d)
            let first = step.firstVisible(from: run.start + queries.lowerBound) / keyBlock * keyBlock
            let end = run.start + queries.upperBound
            for low in stride(from: first, to: end, by: keyBlock) {
                let keys = low..<min(low + keyBlock, end)
                multiplyKeys(keys)
                for row in 0..<rows { weigh(row, keys) }
                addValues(keys)
            }
            for head in 0..<group {
                for index in 0..<queries.count {
                    let row = head * queries.count + index
                    let target = output.row(run.firstRow + queries.lowerBound + index) + (firstHead + head) * d
                    let share = 1 / totals[row]
                    for i in 0..<d { target[i] = sums[row * d + i] * share }
                }
            }
        }

        /// scores = q k^T.
        private func multiplyKeys(_ keys: Range<Int>) {
            let input = step.queriesKeysValues
            for low in stride(from: keys.lowerBound, to: keys.upperBound, by: panelWidth) {
                let positions = low..<min(low + panelWidth, keys.upperBound)
                for column in stride(from: 0, to: step.headDim, by: keyBlock) {
                    let depth = min(keyBlock, step.headDim - column)
                    cache.fillKeyPanel(
                        positions, firstColumn: column, depth: depth, scratch: kernelScratch, panel: panel)
                    for head in 0..<group {
                        let query = input.row(run.firstRow + queries.lowerBound) + (firstHead + head) * step.headDim
                        crumb_gemm_panel(
                            query + column, input.stride, queries.count, panel, depth,
                            scores + head * queries.count * keyBlock + low - keys.lowerBound, keyBlock,
                            positions.count, column > 0)
                    }
                }
            }
        }

        /// Turns a row's scores into weights relative to its largest score so far, zero where it must not look.
        private func weigh(_ row: Int, _ keys: Range<Int>) {
            let position = run.start + queries.lowerBound + row % queries.count
            let visible = keys.clamped(to: step.firstVisible(from: position)..<position + 1)
            let weights = scores + row * keyBlock
            if visible.isEmpty {
                weights.update(repeating: 0, count: keys.count)
                return
            }
            let (before, after) = (visible.lowerBound - keys.lowerBound, keys.upperBound - visible.upperBound)
            weights.update(repeating: 0, count: before)
            (weights + keys.count - after).update(repeating: 0, count: after)
            let old = highest[row]
            let new = exponentials(
                weights + before, visible.count, scale: 1 / Float(step.headDim).squareRoot(), floor: old)
            if new.highest > old {
                highest[row] = new.highest
                let share = old == -.infinity ? 0 : exponential(old - new.highest)
                totals[row] *= share
                let sum = sums + row * step.headDim
                for i in 0..<step.headDim { sum[i] *= share }
            }
            totals[row] += new.total
        }

        /// sums += weights x values.
        private func addValues(_ keys: Range<Int>) {
            let d = step.headDim
            for column in stride(from: 0, to: d, by: panelWidth) {
                let width = min(panelWidth, d - column)
                cache.fillValuePanel(keys, firstColumn: column, width: width, panel: panel)
                // Rows of all heads lie one after the other, so one product serves the whole group.
                crumb_gemm_panel(
                    scores, keyBlock, group * queries.count, panel, keys.count, sums + column, d, width, true)
            }
        }
    }
}
