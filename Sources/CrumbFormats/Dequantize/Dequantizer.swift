// Stored weights to fp32, in plain Swift: the reference that faster kernels are compared with. The block layouts are
// GGML's; a block's bytes are listed at each function. Products are formed in GGML's order (scale first), so the
// results equal its own to the last bit.

package import CrumbTensor

/// Turns rows of any storage type into fp32.
package enum Dequantizer {
    /// Dequantizes `count` weights.
    ///
    /// - Parameters:
    ///   - type: a type whose `isWeight` holds.
    ///   - source: the bytes of exactly these weights; no alignment is needed.
    ///   - count: a multiple of the type's `blockWeights`.
    ///   - target: room for at least `count` numbers.
    package static func dequantizeRow(
        _ type: StorageType, _ source: UnsafeRawBufferPointer, count: Int,
        into target: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(type.isWeight, "\(type) holds no weights")
        precondition(
            type.byteCount(of: count) == source.count && target.count >= count,
            "\(count) weights of \(type) from \(source.count) bytes into \(target.count)")
        guard count > 0 else { return }
        let input = unsafe BlockInput(source)
        let output = unsafe WeightOutput(target)
        if type.blockWeights == 1 { return plain(type, input, output, count) }
        for block in 0..<count / type.blockWeights {
            let block = (input.advanced(block * type.blockBytes), output.advanced(block * type.blockWeights))
            switch type {
            case .q4_0: q4_0(block.0, block.1)
            case .q4_1: q4_1(block.0, block.1)
            case .q5_0: q5_0(block.0, block.1)
            case .q5_1: q5_1(block.0, block.1)
            case .q8_0: q8_0(block.0, block.1)
            case .q2_K: q2_K(block.0, block.1)
            case .q3_K: q3_K(block.0, block.1)
            case .q4_K: q4_K(block.0, block.1)
            case .q5_K: q5_K(block.0, block.1)
            case .q6_K: q6_K(block.0, block.1)
            case .f32, .f16, .bf16, .i8, .u8, .u16, .i32, .i64: break  // handled above
            }
        }
    }

    /// Dequantizes row `row` of a tensor; `target` has room for its `columns`.
    package static func dequantizeRow(
        _ tensor: TensorView, _ row: Int, into target: UnsafeMutableBufferPointer<Float>
    ) {
        unsafe dequantizeRow(tensor.type, tensor.row(row), count: tensor.columns, into: target)
    }

    /// All weights of a tensor, row-major.
    package static func dequantize(_ tensor: TensorView) -> [Float] {
        let count = tensor.count
        return unsafe [Float](unsafeUninitializedCapacity: count) { buffer, filled in
            let room = unsafe UnsafeMutableBufferPointer(rebasing: buffer[..<count])
            unsafe dequantizeRow(tensor.type, tensor.bytes, count: count, into: room)
            filled = count
        }
    }

    private static func plain(_ type: StorageType, _ input: BlockInput, _ output: WeightOutput, _ count: Int) {
        switch type {
        case .f32: for index in 0..<count { output[index] = input.float(4 * index) }
        case .f16: for index in 0..<count { output[index] = input.half(2 * index) }
        case .bf16: for index in 0..<count { output[index] = input.bfloat(2 * index) }
        default: break
        }
    }
}

/// The bytes from a block's first on.
///
/// Reads are checked in debug builds only: `dequantizeRow` has compared the number of bytes with the number of blocks,
/// and each function stays within the size of its block.
@safe
struct BlockInput {
    private let start: UnsafeRawPointer
    private let count: Int

    init(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { preconditionFailure("no bytes to dequantize") }
        unsafe self.start = start
        count = bytes.count
    }

    private init(start: UnsafeRawPointer, count: Int) {
        unsafe self.start = start
        self.count = count
    }

    func advanced(_ offset: Int) -> BlockInput {
        assert(offset <= count)
        return unsafe BlockInput(start: start + offset, count: count - offset)
    }

    /// A byte in 32 bits, which a vector register turns into singles.
    subscript(_ offset: Int) -> Int32 { Int32(load(offset, UInt8.self)) }
    func signed(_ offset: Int) -> Int32 { Int32(load(offset, Int8.self)) }
    func bits32(_ offset: Int) -> UInt32 { UInt32(littleEndian: load(offset, UInt32.self)) }
    func float(_ offset: Int) -> Float { Float(bitPattern: bits32(offset)) }
    func bfloat(_ offset: Int) -> Float {
        Float(bitPattern: UInt32(UInt16(littleEndian: load(offset, UInt16.self))) << 16)
    }

    /// Half to single by moving the bits and scaling by 2^112, exact for every finite number: without compiler flags
    /// for F16C `Float(Float16)` is a call into a library, ten times slower.
    func half(_ offset: Int) -> Float {
        let bits = UInt32(UInt16(littleEndian: load(offset, UInt16.self)))
        let magnitude = Float(bitPattern: (bits & 0x7FFF) << 13) * Float(bitPattern: 0x7780_0000)
        let special: UInt32 = bits & 0x7C00 == 0x7C00 ? 0x7F80_0000 : 0
        return Float(bitPattern: magnitude.bitPattern | special | (bits & 0x8000) << 16)
    }

    private func load<T: BitwiseCopyable>(_ offset: Int, _ type: T.Type) -> T {
        assert(offset >= 0 && offset + MemoryLayout<T>.size <= count)
        return unsafe start.loadUnaligned(fromByteOffset: offset, as: type)
    }
}

/// The weights from a block's first on; checked in debug builds only, as `BlockInput`.
@safe
struct WeightOutput {
    private let start: UnsafeMutablePointer<Float>
    private let count: Int

    init(_ weights: UnsafeMutableBufferPointer<Float>) {
        guard let start = weights.baseAddress else { preconditionFailure("no room for weights") }
        unsafe self.start = start
        count = weights.count
    }

    private init(start: UnsafeMutablePointer<Float>, count: Int) {
        unsafe self.start = start
        self.count = count
    }

    func advanced(_ offset: Int) -> WeightOutput {
        assert(offset <= count)
        return unsafe WeightOutput(start: start + offset, count: count - offset)
    }

    subscript(_ index: Int) -> Float {
        get {
            assert(index < count)
            return unsafe start[index]
        }
        nonmutating set {
            assert(index >= 0 && index < count)
            unsafe start[index] = newValue
        }
    }
}
