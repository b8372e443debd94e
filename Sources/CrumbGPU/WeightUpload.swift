package import CrumbCUDA
package import CrumbModel
package import CrumbThreads

/// The weights of a model in device memory.
package final class UploadedWeights: Sendable {
    package let places: DeviceWeights
    package let byteCount: Int
    private let memory: DeviceBuffer<UInt8>

    /// Weights in memory that somebody else has filled.
    package init(places: DeviceWeights, memory: consuming DeviceBuffer<UInt8>) {
        self.places = places
        byteCount = memory.byteCount
        self.memory = memory
    }

    /// Copies a model's weights to the card.
    ///
    /// - Parameter progress: Called now and then with the share that is done.
    /// - Throws: `ModelError` for weights that the kernels have no form for, or that fp16 cannot hold; `CUDAError`.
    package convenience init(
        _ weights: DecoderWeights, _ configuration: ModelConfiguration, on stream: borrowing Stream, pool: ThreadPool,
        progress: (Double) throws -> Void = { _ in }
    ) throws {
        let bytes = try WeightPlan(weights, configuration).byteCount
        let memory = try DeviceBuffer<UInt8>(count: bytes, on: stream.device, for: "the weights")
        let plan = try WeightPlan(weights, configuration, base: memory.address)
        var upload = try WeightUpload(to: stream.device, pool: pool)
        var done = 0
        for item in plan.items {
            try upload.send(item, in: stream)
            done += item.byteCount
            try progress(Double(done) / Double(bytes))
        }
        try stream.synchronize()
        self.init(places: plan.weights, memory: memory)
    }
}

/// Copies items of a plan, turning dense rows into fp16 on the way.
struct WeightUpload: ~Copyable {
    private var staging: Staging
    private let pool: ThreadPool

    /// The largest number that fp16 holds.
    private static let largest: Float = 65504

    init(to device: Device, pool: ThreadPool) throws(CUDAError) {
        staging = try Staging(on: device)
        self.pool = pool
    }

    mutating func send(_ item: WeightPlan.Item, in stream: borrowing Stream) throws {
        switch item.source {
        case .bytes(let bytes, let owner):
            precondition(bytes.count == item.byteCount, "\(bytes.count) bytes where \(item.byteCount) were planned")
            try withExtendedLifetime(owner) { try send(bytes, to: item.address, in: stream) }
        case .floats(let numbers):
            try numbers.withUnsafeBytes { try send($0, to: item.address, in: stream) }
        case .halfwords(let numbers):
            try numbers.withUnsafeBytes { try send($0, to: item.address, in: stream) }
        case .halves(let weight):
            try sendHalves(of: weight, to: item.address, in: stream)
        }
    }

    private mutating func send(
        _ bytes: UnsafeRawBufferPointer, to address: UInt64, in stream: borrowing Stream
    ) throws(CUDAError) {
        for start in stride(from: 0, to: bytes.count, by: Staging.bytes) {
            let part = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + Staging.bytes, bytes.count)])
            try staging.send(part.count, to: address + UInt64(start), in: stream) { $0.copyMemory(from: part) }
        }
    }

    private mutating func sendHalves(
        of weight: LinearWeight, to address: UInt64, in stream: borrowing Stream
    ) throws {
        let rows = WeightRows(weight)
        let columns = weight.columns
        let rowsAtOnce = max(1, Staging.bytes / (2 * columns))
        for first in stride(from: 0, to: weight.rows, by: rowsAtOnce) {
            let count = min(rowsAtOnce, weight.rows - first)
            var isTooLarge = [Bool](repeating: false, count: count)
            let target = address + UInt64(2 * first * columns)
            try staging.send(2 * count * columns, to: target, in: stream) { piece in
                let halves = piece.bindMemory(to: Float16.self)
                isTooLarge.withUnsafeMutableBufferPointer { isTooLarge in
                    let found = isTooLarge
                    pool.run(count: count) { row in
                        let target = UnsafeMutableBufferPointer(
                            rebasing: halves[row * columns..<(row + 1) * columns])
                        found[row] = !Self.convert(rows, first + row, into: target)
                    }
                }
            }
            if let row = isTooLarge.firstIndex(of: true) {
                throw ModelError(
                    "\(weight.name) has a weight above \(Self.largest) in row \(first + row), which the GPU's fp16 cannot "
                        + "hold; use --device cpu")
            }
        }
    }

    /// One row as fp16; false where a number does not fit.
    private static func convert(
        _ rows: WeightRows, _ row: Int, into output: UnsafeMutableBufferPointer<Float16>
    ) -> Bool {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: output.count) { numbers in
            guard let start = numbers.baseAddress else { return true }
            numbers.initialize(repeating: 0)
            rows.read(row, into: start)
            var peak: Float = 0
            for (index, number) in numbers.enumerated() {
                peak = max(peak, abs(number))
                output[index] = Float16(number)
            }
            return peak <= largest
        }
    }
}
