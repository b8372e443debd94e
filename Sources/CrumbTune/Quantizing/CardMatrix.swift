import CrumbABI
import CrumbCUDA
import CrumbPacked
import CrumbQuant

/// One matrix in work on the card: what `RowBlock` does with its rows, for all rows at once.
struct CardMatrix {
    let shape: crumb_packed_shape
    let storage: StorageVariant
    let queue: QuantizeQueue
    let factor: CardFactor
    let arrays: Arrays
    var matrix: crumb_quantize_matrix { arrays.matrix }

    /// Channels whose changes reach the channels outside in one product.
    private static let span = 128

    /// Bytes of a matrix's arrays.
    static func byteCount(_ shape: crumb_packed_shape) -> Int {
        SlabLayout.byteCount { Arrays(shape, storage: StorageVariant(), importance: 0, in: &$0) }
    }

    /// What is kept of a matrix while it is in work.
    struct Arrays {
        let matrix: crumb_quantize_matrix
        /// fp32 [P][N] each.
        let scratch, direction, image: UInt64
        /// fp32 [P / 32][N], [span][N], [N].
        let best, errors, steps: UInt64
        /// u8 [P / 32][N]: 1 where a row's group has 4 bits, for a variant whose rows choose.
        let wide: UInt64

        init(_ shape: crumb_packed_shape, storage: StorageVariant, importance: UInt64, in layout: inout SlabLayout) {
            let all = 4 * shape.n * shape.orderCount
            let groups = all / Int(CRUMB_GROUP)
            wide = layout.reserve(groups / 4)
            matrix = crumb_quantize_matrix(
                weights: layout.reserve(all), quantized: layout.reserve(all), levels: layout.reserve(all),
                outliers: layout.reserve(groups), scale_codes: layout.reserve(groups),
                row_scales: layout.reserve(8 * Int(shape.segments) * shape.n), importance: importance,
                wide: storage.choosesGroups ? wide : 0, rows: UInt32(shape.n), positions: UInt32(shape.orderCount),
                segment_channels: UInt32(shape.segmentChannels), four_bit_channels: UInt32(shape.fourBitChannels),
                narrow_top: storage.narrowTop, first_order: storage.hasFirstOrderScales ? 1 : 0)
            scratch = layout.reserve(all)
            direction = layout.reserve(all)
            image = layout.reserve(all)
            best = layout.reserve(groups)
            errors = layout.reserve(4 * span * shape.n)
            steps = layout.reserve(4 * shape.n)
        }
    }

    /// - Parameter arena: Room for `byteCount` bytes.
    init(
        _ shape: crumb_packed_shape, storage: StorageVariant, factor: CardFactor, arena: UInt64, _ queue: QuantizeQueue
    ) {
        var layout = SlabLayout(base: arena)
        self.shape = shape
        self.storage = storage
        self.queue = queue
        self.factor = factor
        arrays = Arrays(shape, storage: storage, importance: factor.importance.address, in: &layout)
    }

    var rows: Int { shape.n }
    var positions: Int { shape.orderCount }
    var groups: Int { positions / Int(CRUMB_GROUP) }
    private var group: Int { Int(CRUMB_GROUP) }

    /// Chooses all numbers for the weights at `source`, fp32 [N][K].
    func quantize(_ source: UInt64, _ settings: QuantizerSettings) throws(CUDAError) {
        try queue.launch(
            queue.kernels.load, threads: rows, times: positions,
            crumb_quantize_load_args(
                source: source, order: factor.order.address, weights: matrix.weights, rows: UInt32(rows),
                columns: UInt32(shape.k), positions: UInt32(positions), reserved: 0))
        try queue.pass.stream.fill(DeviceView<UInt32>(address: matrix.outliers, count: groups * rows))
        try chooseGroups()
        try chooseRowScales()
        if shape.outliers_per_tile > 0 {
            precondition(!storage.choosesGroups, "outliers have no regions where rows choose their groups")
            try chooseOutliers(from: shape.fourBitChannels, count: shape.twoBitChannels)
            if storage.hasOutliersEverywhere { try chooseOutliers(from: 0, count: shape.fourBitChannels) }
            // Without the outliers the ranges are narrower, and the row scales finer.
            try chooseRowScales()
        }
        try chooseCodes(feedback: settings.method != .rtn)
        if settings.method == .full { try descend(passes: settings.passes) }
    }

    /// Marks the costliest weights of `count` channels of each segment.
    private func chooseOutliers(from first: Int, count: Int) throws(CUDAError) {
        let pools = (count + Int(CRUMB_OUTLIER_CHANNELS) - 1) / Int(CRUMB_OUTLIER_CHANNELS)
        try queue.launch(
            queue.kernels.outliers, blocks: shape.rowTiles * Int(shape.segments) * pools,
            crumb_quantize_outliers_args(
                matrix: matrix, outliers_per_tile: shape.outliers_per_tile, pools: UInt32(pools), first: UInt32(first),
                channels: UInt32(count)))
    }

    /// Finds the best scales of the groups, and what they cost where it is asked for.
    private func findScales(costs: UInt64 = 0) throws(CUDAError) -> crumb_quantize_scales_args {
        var arguments = crumb_quantize_scales_args(
            matrix: matrix, best: arrays.best, costs: costs,
            trials: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        withUnsafeMutableBytes(of: &arguments.trials) {
            $0.copyBytes(from: QuantizerSettings.scaleTrials.withUnsafeBytes { Array($0) })
        }
        try queue.launch(queue.kernels.bestScales, threads: rows, times: groups, arguments)
        return arguments
    }

    private func chooseRowScales() throws(CUDAError) {
        try queue.launch(
            queue.kernels.rowScales, threads: rows, times: 2 * Int(shape.segments), try findScales())
    }

    /// Gives 4 bits to the groups that gain most by them, where rows choose.
    private func chooseGroups() throws(CUDAError) {
        guard storage.choosesGroups else { return }
        let pass = queue.pass
        let wide = DeviceView<UInt8>(address: arrays.wide, count: groups * rows)
        func costs(wide choice: UInt8) throws(CUDAError) -> [Float] {
            try pass.stream.fill(wide, with: choice)
            // The scratch is free until codes are chosen.
            _ = try findScales(costs: arrays.scratch)
            return try pass.stream.download(DeviceView<Float>(address: arrays.scratch, count: groups * rows))
        }
        let narrowCosts = try costs(wide: 0)
        let wideCosts = try costs(wide: 1)
        let choice = GroupChoice.widest(
            zip(narrowCosts, wideCosts).map { $0 - $1 }, count: rows,
            perRow: Int(shape.segments) * shape.fourBitChannels / group)
        try choice.withUnsafeBufferPointer { choice throws(CUDAError) in try pass.stream.copy(choice, to: wide) }
    }

    /// A [P][N] array from channel `channel` on.
    private func channels(_ array: UInt64, from channel: Int) -> CuBLAS.Factor {
        QuantizeQueue.matrix(array, rows, from: channel * rows)
    }

    private func chooseCodes(feedback: Bool) throws(CUDAError) {
        let count = positions * rows
        try queue.pass.stream.copy(
            DeviceView<Float>(address: matrix.weights, count: count),
            to: DeviceView(address: arrays.scratch, count: count))
        /// Adds to the targets of `later` what the channels of `done` lost; their errors begin at channel `start`.
        func feed(_ done: Range<Int>, into later: Range<Int>, from start: Int) throws(CUDAError) {
            guard feedback else { return }
            try queue.multiply(
                QuantizeQueue.matrix(
                    factor.feedback.address, positions, from: done.lowerBound * positions + later.lowerBound,
                    transposed: true), channels(arrays.errors, from: done.lowerBound - start),
                into: channels(arrays.scratch, from: later.lowerBound), m: later.count, n: rows, k: done.count, beta: 1)
        }
        for start in stride(from: 0, to: positions, by: Self.span) {
            let end = min(start + Self.span, positions)
            for first in stride(from: start, to: end, by: group) {
                try queue.launch(
                    queue.kernels.choose, threads: rows,
                    crumb_quantize_choose_args(
                        matrix: matrix, feedback: factor.feedback.address, targets: arrays.scratch,
                        errors: arrays.errors + UInt64(4 * (first - start) * rows), group: UInt32(first / group),
                        feeds: feedback ? 1 : 0))
                try feed(first..<first + group, into: first + group..<end, from: start)
            }
            try feed(start..<end, into: end..<positions, from: start)
        }
    }

    // MARK: coordinate descent

    private func descend(passes: Int) throws(CUDAError) {
        guard passes > 0 else { return }
        try multiplyByHessian(try differences(), into: arrays.scratch)
        for pass in 0..<passes {
            for start in stride(from: 0, to: positions, by: Self.span) {
                let end = min(start + Self.span, positions)
                for first in stride(from: start, to: end, by: group) {
                    try queue.launch(
                        queue.kernels.descend, threads: rows,
                        crumb_quantize_descend_args(
                            matrix: matrix, hessian: factor.hessian.address, gradient: arrays.scratch,
                            changes: arrays.errors + UInt64(4 * (first - start) * rows), group: UInt32(first / group),
                            reserved: 0))
                    try spread(first..<first + group, into: start..<end, from: start)
                }
                try spread(start..<end, into: 0..<start, from: start)
                try spread(start..<end, into: end..<positions, from: start)
            }
            if pass + 1 < passes, !storage.hasFirstOrderScales { try improveRowScales() }
        }
    }

    /// W - Q, where the directions are kept at other times.
    func differences() throws(CUDAError) -> UInt64 {
        try queue.launch(
            queue.kernels.difference, threads: positions * rows,
            crumb_quantize_difference_args(matrix: matrix, difference: arrays.direction))
        return arrays.direction
    }

    func multiplyByHessian(_ array: UInt64, into target: UInt64) throws(CUDAError) {
        try queue.multiply(
            QuantizeQueue.matrix(factor.hessian.address, positions), channels(array, from: 0),
            into: channels(target, from: 0), m: positions, n: rows, k: positions)
    }

    /// G -= H[others, changed] changes.
    private func spread(_ changed: Range<Int>, into others: Range<Int>, from start: Int) throws(CUDAError) {
        try queue.multiply(
            QuantizeQueue.matrix(
                factor.hessian.address, positions, from: others.lowerBound * positions + changed.lowerBound),
            channels(arrays.errors, from: changed.lowerBound - start),
            into: channels(arrays.scratch, from: others.lowerBound),
            m: others.count, n: rows, k: changed.count, alpha: -1, beta: 1)
    }

    private func improveRowScales() throws(CUDAError) {
        for slot in 0..<2 * Int(shape.segments) {
            let start = slot / 2 * shape.segmentChannels
            // Where rows choose, groups of either kind are anywhere.
            let all = storage.choosesGroups
            let first = start + (slot % 2 == 0 || all ? 0 : shape.fourBitChannels)
            let count =
                all ? shape.segmentChannels : slot % 2 == 0 ? shape.fourBitChannels : shape.twoBitChannels
            guard count > 0 else { continue }
            try queue.launch(
                queue.kernels.direction, threads: rows, times: count,
                crumb_quantize_direction_args(
                    matrix: matrix, direction: arrays.direction, first: UInt32(first), count: UInt32(count),
                    slot: UInt32(slot), reserved: 0))
            try queue.multiply(
                QuantizeQueue.matrix(factor.hessian.address, positions, from: first),
                channels(arrays.direction, from: 0),
                into: channels(arrays.image, from: 0), m: positions, n: rows, k: count)
            let arguments = crumb_quantize_move_args(
                matrix: matrix, direction: arrays.direction, image: arrays.image, gradient: arrays.scratch,
                steps: arrays.steps,
                first: UInt32(first), count: UInt32(count), slot: UInt32(slot), reserved: 0)
            try queue.launch(queue.kernels.rowSteps, blocks: (rows + 31) / 32, arguments)
            try queue.launch(queue.kernels.move, threads: rows, times: positions, arguments)
        }
    }
}
