import CrumbCUDA

/// cuBLAS by loops, for the one form of product that Crumb asks for.
enum EmulatedBLAS {
    static func table() throws(CUDAError) -> CuBLASTable {
        let create: @convention(c) (UnsafeMutablePointer<OpaquePointer?>?) -> Int32 = {
            $0?.pointee = OpaquePointer(bitPattern: 0x77)
            return 0
        }
        let version: @convention(c) (OpaquePointer?, UnsafeMutablePointer<Int32>?) -> Int32 = {
            $1?.pointee = 130100
            return 0
        }
        let trivial: @convention(c) () -> Int32 = { 0 }
        let functions: [String: UnsafeMutableRawPointer] = [
            "cublasCreate_v2": unsafeBitCast(create, to: UnsafeMutableRawPointer.self),
            "cublasGetVersion_v2": unsafeBitCast(version, to: UnsafeMutableRawPointer.self),
            "cublasGemmEx": unsafeBitCast(gemm, to: UnsafeMutableRawPointer.self),
        ]
        return try CuBLASTable { functions[$0] ?? unsafeBitCast(trivial, to: UnsafeMutableRawPointer.self) }
    }

    /// C (m, n) = alpha A^T B + beta C, column-major; A and B fp16, C fp32, or fp16 with a beta of 0.
    private static let gemm: CuBLASTable.GEMM = {
        _, opA, opB, m, n, k, alpha, a, typeA, lda, b, typeB, ldb, beta, c, typeC, ldc, _, _ in
        guard opA == 1, opB == 0, typeA == 2, typeB == 2, typeC == 0 || typeC == 2, lda >= k, ldb >= k, ldc >= m,
            let alpha = alpha?.load(as: Float.self), let beta = beta?.load(as: Float.self),
            let a = a?.assumingMemoryBound(to: Float16.self), let b = b?.assumingMemoryBound(to: Float16.self),
            let c, typeC == 0 || beta == 0
        else { return 7 }
        let (floats, halves) = (c.assumingMemoryBound(to: Float.self), c.assumingMemoryBound(to: Float16.self))
        EmulatedCard.perform {
            for column in 0..<Int(n) {
                for row in 0..<Int(m) {
                    var sum: Float = 0
                    for i in 0..<Int(k) { sum += Float(a[row * Int(lda) + i]) * Float(b[column * Int(ldb) + i]) }
                    let place = column * Int(ldc) + row
                    guard typeC == 0 else {
                        halves[place] = Float16(alpha * sum)
                        continue
                    }
                    floats[place] = alpha * sum + (beta == 0 ? 0 : beta * floats[place])
                }
            }
        }
        return 0
    }
}
