/// An owner of a cuBLAS handle that works in one stream, with its own workspace, so that products can be recorded in
/// a graph. One thread at a time may use it.
package struct CuBLAS: ~Copyable {
    /// Element types of matrices, as cudaDataType counts them.
    package enum ElementType: Int32, Sendable {
        case float = 0
        case half = 2
        case bfloat = 14

        package var byteCount: Int { self == .float ? 4 : 2 }
    }

    /// A matrix on the card, row-major.
    package struct Matrix: Sendable {
        package let address: UInt64
        package let type: ElementType
        /// Elements from one row to the next.
        package let rowStride: Int

        package init(address: UInt64, type: ElementType, rowStride: Int) {
            self.address = address
            self.type = type
            self.rowStride = rowStride
        }

        fileprivate var pointer: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: UInt(address)) }
        fileprivate var stride: Int32 { Int32(rowStride) }
    }

    /// Such as 130100 for 13.1.
    package let version: Int
    private let device: Device
    private let table: CuBLASTable
    private let handle: CuBLASTable.Handle
    private let workspace: DeviceBuffer<UInt8>

    /// What cuBLAS's manual asks for on Hopper; older cards are content with 4 MiB.
    private static let workspaceBytes = 32 << 20

    // cublasOperation_t, cublasComputeType_t, cublasGemmAlgo_t
    private static let plain: Int32 = 0
    private static let transposed: Int32 = 1
    private static let computeFloat: Int32 = 68
    private static let defaultAlgorithm: Int32 = -1

    package init(_ table: CuBLASTable, on stream: borrowing Stream) throws(CUDAError) {
        let device = stream.device
        let queue = stream.borrowedHandle
        let workspace = try DeviceBuffer<UInt8>(count: Self.workspaceBytes, on: device, for: "cuBLAS's workspace")
        var new: CuBLASTable.Handle?
        try Self.check(device.run { _ in table.create(&new) }, "starting cuBLAS", table, device)
        guard let handle = new else { throw CUDAError(.library, "cuBLAS gave no handle on \(device.label)") }
        var number: Int32 = 0
        let address = UnsafeMutableRawPointer(bitPattern: UInt(workspace.address))
        let status = device.run { _ in
            let statuses = [
                table.getVersion(handle, &number), table.setStream(handle, queue),
                table.setWorkspace(handle, address, Self.workspaceBytes),
            ]
            return statuses.first { $0 != 0 } ?? 0
        }
        if status != 0 { _ = table.destroy(handle) }
        try Self.check(status, "preparing cuBLAS", table, device)
        self.device = device
        self.table = table
        self.handle = handle
        self.workspace = workspace
        version = Int(number)
    }

    deinit { _ = device.run { _ in table.destroy(handle) } }

    /// y (M, N) = alpha x (M, K) w (N, K)^T + beta y, summed in fp32.
    package borrowing func multiply(
        _ x: Matrix, _ w: Matrix, into y: Matrix, m: Int, n: Int, k: Int, alpha: Float = 1, beta: Float = 0
    ) throws(CUDAError) {
        var (alpha, beta) = (alpha, beta)
        // cuBLAS is column-major: it sees y^T (N, M) = w (N, K) x^T (K, M), with w given as its transpose.
        let status = device.run { _ in
            table.gemmEx(
                handle, Self.transposed, Self.plain, Int32(n), Int32(m), Int32(k), &alpha, w.pointer, w.type.rawValue,
                w.stride, x.pointer, x.type.rawValue, x.stride, &beta, y.pointer, y.type.rawValue, y.stride,
                Self.computeFloat, Self.defaultAlgorithm)
        }
        try Self.check(status, "multiplying M \(m), N \(n), K \(k) with cuBLAS", table, device)
    }

    /// A factor of a batch of products: matrices at equal distances, each as it is or transposed.
    package struct Factor: Sendable {
        let matrix: Matrix
        let isTransposed: Bool
        let batchStride: Int

        /// - Parameter batchStride: Elements from one matrix of the batch to the next.
        package init(_ matrix: Matrix, transposed: Bool = false, batchStride: Int = 0) {
            self.matrix = matrix
            isTransposed = transposed
            self.batchStride = batchStride
        }

        fileprivate var operation: Int32 { isTransposed ? CuBLAS.transposed : CuBLAS.plain }
    }

    /// c (M, N) = alpha a (M, K) b (K, N) + beta c, for each of `batches`, summed in fp32. A transposed factor is stored as
    /// (K, M) or (N, K).
    package borrowing func multiply(
        _ a: Factor, _ b: Factor, into c: Factor, m: Int, n: Int, k: Int, alpha: Float = 1, beta: Float = 0,
        batches: Int = 1
    ) throws(CUDAError) {
        precondition(!c.isTransposed, "a result is stored as it is")
        var (alpha, beta) = (alpha, beta)
        let (matrixA, matrixB, matrixC) = (a.matrix, b.matrix, c.matrix)
        // Column-major, it is c^T (N, M) = b^T a^T.
        let status = device.run { _ in
            table.gemmStridedBatchedEx(
                handle, b.operation, a.operation, Int32(n), Int32(m), Int32(k), &alpha, matrixB.pointer,
                matrixB.type.rawValue, matrixB.stride, Int64(b.batchStride), matrixA.pointer, matrixA.type.rawValue,
                matrixA.stride, Int64(a.batchStride), &beta, matrixC.pointer, matrixC.type.rawValue, matrixC.stride,
                Int64(c.batchStride), Int32(batches), Self.computeFloat, Self.defaultAlgorithm)
        }
        try Self.check(status, "multiplying \(batches) times M \(m), N \(n), K \(k) with cuBLAS", table, device)
    }

    private static func check(
        _ status: Int32, _ operation: String, _ table: CuBLASTable, _ device: Device
    ) throws(CUDAError) {
        guard status != 0 else { return }
        let text = table.getStatusString(status).map { String(cString: $0) } ?? "an unknown status"
        throw CUDAError(
            .library, code: status,
            "\(operation) on \(device.label) failed with \(text) (\(status)); run crumb doctor to see what works on "
                + "this machine")
    }
}
