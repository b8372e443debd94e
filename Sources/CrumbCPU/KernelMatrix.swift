import CrumbABI
import CrumbModel
import CrumbPacked
import CrumbSIMD
import CrumbTensor

/// A weight matrix as the C kernels want it: pointers and sizes, without reference counts.
///
/// It is valid as long as the `LinearWeight` it was made from.
struct KernelMatrix {
    enum Layout {
        case packed(crumb_packed_shape)
        /// Distance of two rows in bytes.
        case dense(crumb_type, rowBytes: Int)
        /// 8 or 4 bits; the scales of all rows.
        case grouped(bits: Int32, scales: UnsafePointer<UInt16>)
    }

    let layout: Layout
    /// Records, rows or codes.
    let data: UnsafeRawPointer
    let bias: [Float]?
    /// The channel order of a packed matrix.
    let order: ChannelOrder?
    let rows: Int
    let columns: Int

    /// Output features of one unit of work: a row tile of the packed layout, a panel of the products.
    static let tileRows = Int(CRUMB_TILE_ROWS)

    var tiles: Int { (rows + Self.tileRows - 1) / Self.tileRows }

    init(_ weight: LinearWeight) {
        rows = weight.rows
        columns = weight.columns
        bias = weight.bias
        let bytes: UnsafeRawBufferPointer
        switch weight.storage {
        case .packed(let matrix):
            layout = .packed(matrix.shape)
            bytes = matrix.records.bytes
            order = matrix.order
        case .dense(let view):
            layout = .dense(view.type.kernelType, rowBytes: view.rowBytes)
            bytes = view.bytes
            order = nil
        case .grouped(let matrix):
            guard let scales = matrix.scales.bytes.baseAddress else {
                preconditionFailure("\(weight.name) has no scales")
            }
            layout = .grouped(bits: Int32(matrix.bits), scales: scales.assumingMemoryBound(to: UInt16.self))
            bytes = matrix.codes.bytes
            order = nil
        }
        guard let data = bytes.baseAddress else { preconditionFailure("\(weight.name) is empty") }
        self.data = data
    }

    /// Up to this many tokens go through the matrix-vector kernels.
    ///
    /// Measured with SmolLM2-135M on one AVX-512 thread, ms a pass: packed 0.9 M + 2 against 25 for a product of 12
    /// tokens and 38 for 24; Q4_1 rows 10 M against 26. Packed inputs are rounded to int8, products are exact: so decode
    /// batches take the one (and give the same bits as single sequences), prompts the other.
    var vectorTokens: Int {
        switch layout {
        case .packed, .grouped: 32
        case .dense(let type, _): crumb_block_weights(type) == 1 ? 4 : 2
        }
    }

    /// Whether `other` can read the input that was prepared for this matrix.
    func sharesVectorInput(with other: KernelMatrix) -> Bool {
        switch (layout, other.layout) {
        case (.packed(let mine), .packed(let theirs)):
            order === other.order && mine.four_bit_channels == theirs.four_bit_channels
                && mine.segments == theirs.segments
        case (.grouped(let mine, _), .grouped(let theirs, _)): mine == theirs
        case (.dense, .dense): true
        default: false
        }
    }

    /// Bytes of the input prepared for one token; none for dense rows, which read x itself.
    var vectorInputBytes: Int {
        switch layout {
        case .packed(var shape): crumb_packed_input_bytes(&shape)
        case .grouped(let bits, _): crumb_grouped_input_bytes(bits, columns)
        case .dense: 0
        }
    }

    /// Prepares the input of one token for `multiplyVector`.
    func prepareVector(_ x: UnsafePointer<Float>, into prepared: UnsafeMutableRawPointer) {
        switch layout {
        case .packed(var shape):
            order?.channels.withUnsafeBufferPointer { channels in
                if let base = channels.baseAddress { crumb_prepare_packed_input(&shape, base, x, prepared) }
            }
        case .grouped(let bits, _): crumb_prepare_grouped_input(bits, x, columns, prepared)
        case .dense: break
        }
    }

    /// y = or += W x for the rows of some tiles, bias included. `y` is that of row 0.
    func multiplyVector(
        tiles: Range<Int>, x: UnsafePointer<Float>, prepared: UnsafeRawPointer, y: UnsafeMutablePointer<Float>,
        adding: Bool
    ) {
        let (first, last) = (tiles.lowerBound * Self.tileRows, min(tiles.upperBound * Self.tileRows, rows))
        switch layout {
        case .packed(var shape):
            crumb_packed_gemv(&shape, data, tiles.lowerBound, tiles.upperBound, prepared, y, adding)
        case .dense(let type, let rowBytes):
            crumb_gemv_dense(type, data, rowBytes, first, last, columns, x, y, adding)
        case .grouped(let bits, let scales):
            crumb_gemv_grouped(bits, data, scales, first, last, columns, prepared, y, adding)
        }
        if let bias { for n in first..<last { y[n] += bias[n] } }
    }

    /// Channels of the slabs that `multiplySlabs` reads: K, with a packed matrix's padding.
    var slabChannels: Int {
        if case .packed(let shape) = layout { shape.orderCount } else { columns }
    }

    /// Y = or += X W^T for the rows of some tiles, bias included. `y` is (m, stride), its pointer that of row 0 of W.
    func multiplySlabs(
        tiles: Range<Int>, slabs: UnsafePointer<Float>, m: Int, scratch: UnsafeMutableRawPointer,
        y: UnsafeMutablePointer<Float>, stride: Int, adding: Bool
    ) {
        switch layout {
        case .packed(var shape):
            crumb_gemm_packed(
                &shape, data, tiles.lowerBound, tiles.upperBound, slabs, m, scratch, y, stride, adding)
        case .dense(let type, let rowBytes):
            crumb_gemm_dense(
                type, data, rowBytes, rows, columns, tiles.lowerBound, tiles.upperBound, slabs, m, scratch, y, stride,
                adding)
        case .grouped(let bits, let scales):
            crumb_gemm_grouped(
                bits, data, scales, rows, columns, tiles.lowerBound, tiles.upperBound, slabs, m, scratch, y, stride,
                adding)
        }
        guard let bias else { return }
        let (first, last) = (tiles.lowerBound * Self.tileRows, min(tiles.upperBound * Self.tileRows, rows))
        for token in 0..<m {
            let row = y + token * stride
            for n in first..<last { row[n] += bias[n] }
        }
    }
}

extension StorageType {
    /// The kernels' name of a weight type.
    fileprivate var kernelType: crumb_type {
        switch self {
        case .f32: CRUMB_F32
        case .f16: CRUMB_F16
        case .bf16: CRUMB_BF16
        case .q4_0: CRUMB_Q4_0
        case .q4_1: CRUMB_Q4_1
        case .q5_0: CRUMB_Q5_0
        case .q5_1: CRUMB_Q5_1
        case .q8_0: CRUMB_Q8_0
        case .q2_K: CRUMB_Q2_K
        case .q3_K: CRUMB_Q3_K
        case .q4_K: CRUMB_Q4_K
        case .q5_K: CRUMB_Q5_K
        case .q6_K: CRUMB_Q6_K
        case .i8, .u8, .u16, .i32, .i64: preconditionFailure("a matrix of integers was loaded as weights")
        }
    }
}
