import CrumbCUDA
import CrumbModel
import CrumbPacked
import CrumbThreads

/// The weights of one block on the card, dense, as the operators read them.
struct TuneBlock {
    /// Element [q + k + v features][hidden], [hidden][q features], [2 x intermediate][hidden], [hidden][intermediate].
    var queryKeyValue, output, gateUp, down: UInt64
    /// fp32 [hidden].
    var inputNorm, postNorm: UInt64
    /// fp32 [q + k + v features], or 0.
    var bias: UInt64

    /// Where a projection's rows begin.
    func address(_ projection: Projection, _ configuration: ModelConfiguration, elementBytes: Int) -> UInt64 {
        let row = UInt64(configuration.hiddenSize * elementBytes)
        return switch projection {
        case .q: queryKeyValue
        case .k: queryKeyValue + UInt64(configuration.queryFeatures) * row
        case .v: queryKeyValue + UInt64(configuration.queryFeatures + configuration.keyValueFeatures) * row
        case .o: output
        case .gate: gateUp
        case .up: gateUp + UInt64(configuration.intermediateSize) * row
        case .down: down
        }
    }
}

/// Memory on the card that is cut into pieces one after the other.
struct DeviceArena: ~Copyable {
    private let buffer: DeviceBuffer<UInt8>
    private var used = 0

    init(bytes: Int, on device: Device, for purpose: String) throws(CUDAError) {
        buffer = try DeviceBuffer(count: bytes, on: device, for: purpose)
    }

    /// The next piece, aligned to 256 bytes.
    mutating func take(_ bytes: Int) -> UInt64 {
        let start = buffer.address + UInt64(used)
        used += Self.rounded(bytes)
        precondition(used <= buffer.byteCount, "\(used) bytes of an arena of \(buffer.byteCount)")
        return start
    }

    static func rounded(_ bytes: Int) -> Int { (bytes + 255) / 256 * 256 }
}

/// Numbers of the host to the card in the element type of a pass.
struct ElementUpload {
    let element: CuBLAS.ElementType
    let pool: ThreadPool

    /// A matrix's rows in the source's order of channels, (N, K), to `address`.
    func send(_ weight: LinearWeight, to address: UInt64, in stream: borrowing Stream) throws(CUDAError) {
        let rows = WeightRows(weight)
        let columns = weight.columns
        // A piece of at most 64 million numbers at a time.
        let rowsAtOnce = max(1, (64 << 20) / columns)
        for first in stride(from: 0, to: weight.rows, by: rowsAtOnce) {
            let count = min(rowsAtOnce, weight.rows - first)
            let target = address + UInt64(first * columns * element.byteCount)
            let numbers = [Float](unsafeUninitializedCapacity: count * columns) { buffer, filled in
                let base = buffer.baseAddress.unsafelyUnwrapped
                buffer.initialize(repeating: 0)
                pool.run(count: count) { rows.read(first + $0, into: base + $0 * columns) }
                filled = count * columns
            }
            try send(numbers, to: target, in: stream)
        }
    }

    func send(_ numbers: [Float], to address: UInt64, in stream: borrowing Stream) throws(CUDAError) {
        guard element != .float else { return try Self.copy(numbers, to: address, in: stream) }
        let halves = [UInt16](unsafeUninitializedCapacity: numbers.count) { buffer, filled in
            let base = buffer.baseAddress.unsafelyUnwrapped
            let part = 1 << 16
            pool.run(count: (numbers.count + part - 1) / part) { index in
                for i in index * part..<min((index + 1) * part, numbers.count) { base[i] = bfloat(numbers[i]) }
            }
            filled = numbers.count
        }
        try Self.copy(halves, to: address, in: stream)
    }

    static func copy<Number: BitwiseCopyable>(
        _ numbers: [Number], to address: UInt64, in stream: borrowing Stream
    ) throws(CUDAError) {
        try numbers.withUnsafeBufferPointer { buffer throws(CUDAError) in
            try stream.copy(buffer, to: DeviceView(address: address, count: buffer.count))
        }
    }
}

/// The upper half of a finite fp32 number's bits, rounded to nearest, ties to even.
private func bfloat(_ number: Float) -> UInt16 {
    let bits = number.bitPattern
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
}
