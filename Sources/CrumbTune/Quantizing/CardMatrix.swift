import CrumbABI
import CrumbCUDA
import CrumbPacked
import CrumbQuant

/// One matrix in work on the card: what `RowBlock` does with its rows, for all rows at once.
struct CardMatrix {
    let shape: crumb_packed_shape
    private let queue: QuantizeQueue
    private let factor: CardFactor
    private let matrix: crumb_quantize_matrix
    /// fp32 [P][N] each.
    private let scratch, direction, image: UInt64
    private let best, errors, steps: UInt64

    /// Channels whose changes reach the channels outside in one product.
    private static let span = 128
    /// Scales tried for a group, as shares of the one that just covers its largest weight; as `RowBlock` tries them.
    private static let trials: [Float] = (0..<Int(CRUMB_QUANTIZE_TRIALS)).map { exponent in
        1.08 * Float((0..<exponent).reduce(1.0) { value, _ in value * 0.94 })
    }

    /// Bytes of a matrix's numbers.
    static func byteCount(_ shape: crumb_packed_shape) -> Int {
        pieces(shape).reduce(0) { $0 + DeviceArena.rounded($1) }
    }

    private static func pieces(_ shape: crumb_packed_shape) -> [Int] {
        let (n, p) = (shape.n, shape.orderCount)
        let (all, groups) = (4 * n * p, 4 * n * p / Int(CRUMB_GROUP))
        return [
            all, all, all, all, all, all, groups, groups, groups, 8 * Int(shape.segments) * n, 4 * span * n, 4 * n,
        ]
    }

    /// - Parameter arena: Room for `byteCount` bytes.
    init(_ shape: crumb_packed_shape, factor: CardFactor, arena: UInt64, _ queue: QuantizeQueue) {
        var next = arena
        let addresses = Self.pieces(shape).map { bytes in
            defer { next += UInt64(DeviceArena.rounded(bytes)) }
            return next
        }
        self.shape = shape
        self.queue = queue
        self.factor = factor
        scratch = addresses[3]
        direction = addresses[4]
        image = addresses[5]
        best = addresses[8]
        errors = addresses[10]
        steps = addresses[11]
        matrix = crumb_quantize_matrix(
            weights: addresses[0], quantized: addresses[1], levels: addresses[2], outliers: addresses[6],
            scale_codes: addresses[7], row_scales: addresses[9], importance: factor.importance.address,
            rows: UInt32(shape.n), positions: UInt32(shape.orderCount),
            segment_channels: UInt32(shape.segmentChannels), four_bit_channels: UInt32(shape.fourBitChannels))
    }

    private var rows: Int { shape.n }
    private var positions: Int { shape.orderCount }
    private var groups: Int { positions / Int(CRUMB_GROUP) }
    private var group: Int { Int(CRUMB_GROUP) }

    /// Chooses all numbers for the weights at `source`, fp32 [N][K].
    func quantize(_ source: UInt64, _ settings: QuantizerSettings) throws(CUDAError) {
        try queue.launch(
            queue.kernels.load, threads: rows, times: positions,
            crumb_quantize_load_args(
                source: source, order: factor.order.address, weights: matrix.weights, rows: UInt32(rows),
                columns: UInt32(shape.k), positions: UInt32(positions), reserved: 0))
        try queue.pass.stream.fill(DeviceView<UInt32>(address: matrix.outliers, count: groups * rows))
        try chooseRowScales()
        if shape.outliers_per_tile > 0, shape.twoBitChannels > 0 {
            let pools = shape.outlierPools.count
            try queue.launch(
                queue.kernels.outliers, blocks: shape.rowTiles * Int(shape.segments) * pools,
                crumb_quantize_outliers_args(
                    matrix: matrix, outliers_per_tile: shape.outliers_per_tile, pools: UInt32(pools)))
            // Without the outliers the ranges are narrower, and the row scales finer.
            try chooseRowScales()
        }
        try chooseCodes(feedback: settings.method != .rtn)
        if settings.method == .full { try descend(passes: settings.passes) }
    }

    private func chooseRowScales() throws(CUDAError) {
        var arguments = crumb_quantize_scales_args(
            matrix: matrix, best: best, trials: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        withUnsafeMutableBytes(of: &arguments.trials) { $0.copyBytes(from: Self.trials.withUnsafeBytes { Array($0) }) }
        try queue.launch(queue.kernels.bestScales, threads: rows, times: groups, arguments)
        try queue.launch(queue.kernels.rowScales, threads: rows, times: 2 * Int(shape.segments), arguments)
    }

    /// A [P][N] array from channel `channel` on.
    private func channels(_ array: UInt64, from channel: Int) -> CuBLAS.Factor {
        QuantizeQueue.matrix(array, rows, from: channel * rows)
    }

    private func chooseCodes(feedback: Bool) throws(CUDAError) {
        let count = positions * rows
        try queue.pass.stream.copy(
            DeviceView<Float>(address: matrix.weights, count: count), to: DeviceView(address: scratch, count: count))
        /// Adds to the targets of `later` what the channels of `done` lost; their errors begin at channel `start`.
        func feed(_ done: Range<Int>, into later: Range<Int>, from start: Int) throws(CUDAError) {
            guard feedback else { return }
            try queue.multiply(
                QuantizeQueue.matrix(
                    factor.feedback.address, positions, from: done.lowerBound * positions + later.lowerBound,
                    transposed: true), channels(errors, from: done.lowerBound - start),
                into: channels(scratch, from: later.lowerBound), m: later.count, n: rows, k: done.count, beta: 1)
        }
        for start in stride(from: 0, to: positions, by: Self.span) {
            let end = min(start + Self.span, positions)
            for first in stride(from: start, to: end, by: group) {
                try queue.launch(
                    queue.kernels.choose, threads: rows,
                    crumb_quantize_choose_args(
                        matrix: matrix, feedback: factor.feedback.address, targets: scratch,
                        errors: errors + UInt64(4 * (first - start) * rows), group: UInt32(first / group),
                        feeds: feedback ? 1 : 0))
                try feed(first..<first + group, into: first + group..<end, from: start)
            }
            try feed(start..<end, into: end..<positions, from: start)
        }
    }

    // MARK: coordinate descent

    private func descend(passes: Int) throws(CUDAError) {
        guard passes > 0 else { return }
        try multiplyByHessian(try differences(), into: scratch)
        for pass in 0..<passes {
            for start in stride(from: 0, to: positions, by: Self.span) {
                let end = min(start + Self.span, positions)
                for first in stride(from: start, to: end, by: group) {
                    try queue.launch(
                        queue.kernels.descend, threads: rows,
                        crumb_quantize_descend_args(
                            matrix: matrix, hessian: factor.hessian.address, gradient: scratch,
                            changes: errors + UInt64(4 * (first - start) * rows), group: UInt32(first / group),
                            reserved: 0))
                    try spread(first..<first + group, into: start..<end, from: start)
                }
                try spread(start..<end, into: 0..<start, from: start)
                try spread(start..<end, into: end..<positions, from: start)
            }
            if pass + 1 < passes { try improveRowScales() }
        }
    }

    /// W - Q, where the directions are kept at other times.
    private func differences() throws(CUDAError) -> UInt64 {
        try queue.launch(
            queue.kernels.difference, threads: positions * rows,
            crumb_quantize_difference_args(matrix: matrix, difference: direction))
        return direction
    }

    private func multiplyByHessian(_ array: UInt64, into target: UInt64) throws(CUDAError) {
        try queue.multiply(
            QuantizeQueue.matrix(factor.hessian.address, positions), channels(array, from: 0),
            into: channels(target, from: 0), m: positions, n: rows, k: positions)
    }

    /// G -= H[others, changed] changes.
    private func spread(_ changed: Range<Int>, into others: Range<Int>, from start: Int) throws(CUDAError) {
        try queue.multiply(
            QuantizeQueue.matrix(
                factor.hessian.address, positions, from: others.lowerBound * positions + changed.lowerBound),
            channels(errors, from: changed.lowerBound - start), into: channels(scratch, from: others.lowerBound),
            m: others.count, n: rows, k: changed.count, alpha: -1, beta: 1)
    }

    private func improveRowScales() throws(CUDAError) {
        for slot in 0..<2 * Int(shape.segments) {
            let start = slot / 2 * shape.segmentChannels
            let first = start + (slot % 2 == 0 ? 0 : shape.fourBitChannels)
            let count = slot % 2 == 0 ? shape.fourBitChannels : shape.twoBitChannels
            guard count > 0 else { continue }
            try queue.launch(
                queue.kernels.direction, threads: rows, times: count,
                crumb_quantize_direction_args(
                    matrix: matrix, direction: direction, first: UInt32(first), count: UInt32(count)))
            try queue.multiply(
                QuantizeQueue.matrix(factor.hessian.address, positions, from: first), channels(direction, from: 0),
                into: channels(image, from: 0), m: positions, n: rows, k: count)
            let arguments = crumb_quantize_move_args(
                matrix: matrix, direction: direction, image: image, gradient: scratch, steps: steps,
                first: UInt32(first), count: UInt32(count), slot: UInt32(slot), reserved: 0)
            try queue.launch(queue.kernels.rowSteps, blocks: (rows + 31) / 32, arguments)
            try queue.launch(queue.kernels.move, threads: rows, times: positions, arguments)
        }
    }

    // MARK: results

    /// What rounding did to the matrix.
    func error() throws(CUDAError) -> MatrixError {
        let difference = try differences()
        let weight = try dot(difference, difference)
        let norm = try dot(matrix.weights, matrix.weights)
        try multiplyByHessian(difference, into: image)
        let output = try dot(difference, image)
        try multiplyByHessian(matrix.weights, into: image)
        let signal = try dot(matrix.weights, image)
        return MatrixError(
            relativeOutputError: signal > 0 ? output / signal : 0, relativeWeightError: norm > 0 ? weight / norm : 0)
    }

    private func dot(_ a: UInt64, _ b: UInt64) throws(CUDAError) -> Double {
        let count = Int(CRUMB_QUANTIZE_PARTIALS)
        let stream = queue.pass
        let partials = try DeviceBuffer<Double>(count: count, on: stream.stream.device, for: "a sum")
        try queue.launch(
            queue.kernels.dot, blocks: count,
            crumb_quantize_dot_args(a: a, b: b, partials: partials.address, count: UInt64(positions * rows)))
        return try stream.stream.download(partials.view).reduce(0, +)
    }

    /// The numbers; the weights as they are read back go to `dense`, fp32 [N][K].
    func store(dense: UInt64) throws(CUDAError) -> QuantizedMatrix {
        let pass = queue.pass
        let device = pass.stream.device
        let purpose = "a quantized matrix"
        let codes = try DeviceBuffer<UInt8>(count: rows * positions, on: device, for: purpose)
        let scaleCodes = try DeviceBuffer<UInt8>(count: rows * groups, on: device, for: purpose)
        let capacity =
            shape.rowTiles * Int(shape.segments) * shape.outlierPools.reduce(0) { $0 + $1.entries }
        let outliers = try DeviceBuffer<crumb_quantize_outlier>(count: capacity, on: device, for: purpose)
        let count = try pass.stream.upload([UInt32(0)], for: purpose)
        try queue.launch(
            queue.kernels.store, threads: rows, times: groups,
            crumb_quantize_store_args(
                matrix: matrix, order: factor.order.address, codes: codes.address, scale_codes: scaleCodes.address,
                outliers: outliers.address, count: count.address, dense: dense, capacity: UInt32(capacity),
                columns: UInt32(shape.k)))
        let slots = 2 * Int(shape.segments)
        let scales = try pass.stream.download(DeviceView<Float>(address: matrix.row_scales, count: slots * rows))
        let found = min(Int(try pass.stream.download(count.view)[0]), capacity)
        let entries = try pass.stream.download(outliers.view[0..<found]).map {
            Outlier(row: Int($0.row), position: Int($0.position), delta: UInt16($0.delta))
        }
        return QuantizedMatrix(
            shape: shape, codes: try pass.stream.download(codes.view),
            scaleCodes: try pass.stream.download(scaleCodes.view),
            rowScales: (0..<rows * slots).map { Float16(scales[$0 % slots * rows + $0 / slots]).bitPattern },
            outliers: entries.sorted { ($0.row, $0.position) < ($1.row, $1.position) })
    }
}
