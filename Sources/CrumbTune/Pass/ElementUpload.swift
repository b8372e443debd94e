import CrumbCUDA
import CrumbModel
import CrumbThreads

/// Numbers of the host to the card in the element type of a pass.
struct ElementUpload {
    let element: CuBLAS.ElementType
    let pool: ThreadPool

    /// A matrix's rows in the source's order of channels, (N, K), to `address`.
    func send(_ weight: LinearWeight, to address: UInt64, in stream: borrowing Stream) throws(CUDAError) {
        try send(weight, rows: 0..<weight.rows, to: address, in: stream)
    }

    /// Some of a matrix's rows.
    func send<Rows: RandomAccessCollection<Int>>(
        _ weight: LinearWeight, rows chosen: Rows, to address: UInt64, in stream: borrowing Stream
    ) throws(CUDAError) where Rows.Index == Int {
        let rows = WeightRows(weight)
        let columns = weight.columns
        // A piece of at most 16 million numbers at a time.
        let rowsAtOnce = max(1, (16 << 20) / columns)
        for first in stride(from: 0, to: chosen.count, by: rowsAtOnce) {
            let count = min(rowsAtOnce, chosen.count - first)
            let target = address + UInt64(first * columns * element.byteCount)
            let numbers = [Float](unsafeUninitializedCapacity: count * columns) { buffer, filled in
                let base = buffer.baseAddress.unsafelyUnwrapped
                buffer.initialize(repeating: 0)
                pool.run(count: count) { rows.read(chosen[chosen.startIndex + first + $0], into: base + $0 * columns) }
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
