import CrumbABI
import CrumbCUDA
package import CrumbModel

/// Final norm and head.
extension GPUDecoder {
    package func logits(rows: Range<Int>) throws -> FloatMatrix { try logits(ranges: [rows]) }

    package func logits(for batch: Batch) throws -> FloatMatrix {
        try run(batch)
        return try logits(ranges: Self.ranges(of: batch.logitRows))
    }

    /// Ascending rows as runs without gaps.
    static func ranges(of rows: [Int]) -> [Range<Int>] {
        rows.reduce(into: []) { ranges, row in
            if let last = ranges.last, last.upperBound == row {
                ranges[ranges.count - 1] = last.lowerBound..<row + 1
            } else {
                ranges.append(row..<row + 1)
            }
        }
    }

    private func logits(ranges: [Range<Int>]) throws -> FloatMatrix {
        guard let last else { preconditionFailure("logits of a batch that was never run") }
        let count = ranges.reduce(0) { $0 + $1.count }
        let columns = configuration.vocabSize
        try logitsMemory.reserve(rows: count, on: device)
        let output = logitsMemory.device
        var done = 0
        for range in ranges {
            precondition(range.lowerBound >= 0 && range.upperBound <= last.rows, "rows \(range) of \(last.rows)")
            let input = last.workspace.stream + UInt64(4 * range.lowerBound * configuration.hiddenSize)
            try head(
                input: input, rows: range.count, normed: last.workspace.normed,
                output: output.address + UInt64(4 * done * columns))
            done += range.count
        }
        return try logitsMemory.download(rows: count, in: stream)
    }

    /// output fp32 [rows][vocabSize] = head of the normalised input, fp32 [rows][hiddenSize].
    ///
    /// - Parameters:
    ///   - other: A table in place of the model's head.
    ///   - normed: fp16 room for [rows][hiddenSize].
    ///   - choice: Takes the most likely tokens of up to 8 rows.
    /// - Returns: Whether it did.
    @discardableResult
    func head(
        _ other: DeviceTable? = nil, input: UInt64, rows: Int, normed: UInt64, output: UInt64,
        choice: crumb_choice? = nil
    ) throws(CUDAError) -> Bool {
        let table = other ?? weights.head
        let widest = MatvecPlan.widest
        if let blas, table.bits == 16, rows > widest {
            try normalize(weights.finalNorm, order: nil, input: input, rows: rows, output: normed)
            try blas.handle.multiply(
                CuBLAS.Matrix(address: normed, type: .half, rowStride: table.columns),
                CuBLAS.Matrix(address: table.codes, type: .half, rowStride: table.columns),
                into: CuBLAS.Matrix(address: output, type: .float, rowStride: table.rows), m: rows, n: table.rows,
                k: table.columns)
            return false
        }
        let kernel = kernels.matvec(bits: table.bits)
        let choosesHere = choice != nil && rows <= widest
        var first = 0
        while first < rows {
            guard
                let (plan, tokens) = MatvecPlan.fitting(
                    bits: table.bits, rows: table.rows, columns: table.columns, tokens: rows - first,
                    multiprocessors: device.info.multiprocessors, limit: matvecLimit(kernel)),
                tokens == rows || !choosesHere
            else {
                throw CUDAError(
                    .badLaunch,
                    "the head's \(table.columns) input features do not fit the shared memory of \(device.label); use "
                        + "--device cpu")
            }
            var arguments = crumb_matvec_args()
            arguments.weights = table.codes
            arguments.scales = table.scales
            arguments.input = input + UInt64(4 * first * table.columns)
            arguments.norm = weights.finalNorm
            arguments.output = output + UInt64(4 * first * table.rows)
            arguments.rows = UInt32(table.rows)
            arguments.columns = UInt32(table.columns)
            arguments.tokens = UInt32(tokens)
            arguments.k_split = UInt32(plan.split)
            arguments.epsilon = configuration.rmsNormEps
            arguments.stages = UInt32(plan.stages)
            if let choice, choosesHere {
                arguments.greedy = 1
                arguments.choice = choice
            }
            try kernel.launch(
                grid: LaunchExtent(device.info.multiprocessors), block: LaunchExtent(plan.threads),
                sharedBytes: plan.sharedBytes, stream: stream, arguments: arguments, programmatic: true)
            first += tokens
        }
        return choosesHere
    }
}

/// Logits on the card and their copy on the host; both grow.
final class LogitsMemory {
    private let columns: Int
    private var rows = 0
    private var memory: Memory?

    private final class Memory {
        let device: DeviceBuffer<Float>
        let host: PinnedBuffer<Float>

        init(_ count: Int, on card: Device) throws(CUDAError) {
            device = try DeviceBuffer(count: count, on: card, for: "the logits")
            host = try PinnedBuffer(count: count, on: card, for: "the logits")
        }
    }

    init(columns: Int) { self.columns = columns }

    func reserve(rows wanted: Int, on device: Device) throws(CUDAError) {
        guard wanted > rows || memory == nil else { return }
        memory = nil
        memory = try Memory(max(wanted, 1) * columns, on: device)
        rows = wanted
    }

    /// fp32 [rows][vocabSize].
    var device: DeviceView<Float> {
        guard let memory else { preconditionFailure("logits without memory") }
        return memory.device.view
    }

    /// The first rows on the host, once everything ahead has run.
    func download(rows count: Int, in stream: borrowing Stream) throws(CUDAError) -> FloatMatrix {
        guard let memory, let base = memory.host.elements.baseAddress else {
            preconditionFailure("logits without memory")
        }
        let target = UnsafeMutableBufferPointer(rebasing: memory.host.elements[0..<count * columns])
        try stream.copy(memory.device.view[0..<count * columns], to: target)
        try stream.synchronize()
        return FloatMatrix(base: base, rows: count, columns: columns, owner: memory)
    }
}
