import Glibc

/// Dense linear algebra in fp32 from OpenBLAS, found at run time so that a machine that only runs models needs none.
///
/// Every call runs on the calling thread alone: callers split their work into fixed pieces, so results are the same
/// bits whatever the number of threads. Matrices are row-major.
package struct BLAS: Sendable {
    private typealias SGEMM =
        @convention(c) (
            Int32, Int32, Int32, Int32, Int32, Int32, Float, UnsafePointer<Float>?, Int32, UnsafePointer<Float>?, Int32,
            Float, UnsafeMutablePointer<Float>?, Int32
        ) -> Void
    private typealias SPOTRF =
        @convention(c) (
            UnsafePointer<CChar>?, UnsafePointer<Int32>?, UnsafeMutablePointer<Float>?, UnsafePointer<Int32>?,
            UnsafeMutablePointer<Int32>?
        ) -> Void
    private typealias SetThreads = @convention(c) (Int32) -> Void
    private typealias CoreName = @convention(c) () -> UnsafePointer<CChar>?

    private let sgemm: SGEMM
    private let spotrf: SPOTRF
    /// The kernels OpenBLAS chose, such as "SkylakeX".
    package let kernelName: String

    /// Loads OpenBLAS once for the process.
    ///
    /// - Throws: `BLASError` that names the libraries tried and the package to install.
    package static func load() throws(BLASError) -> BLAS { try loaded.get() }

    private static let loaded: Result<BLAS, BLASError> = .init { () throws(BLASError) in try BLAS() }

    private static let names = ["libopenblas.so.0", "libopenblas.so"]

    private init() throws(BLASError) {
        // OpenBLAS reads both when it is loaded. Releases before 0.3.29 do not know AMD processors with AVX-512 and
        // take their AVX2 kernels: 205 instead of 400 GFLOP/s in sgemm on two Zen 5 cores with 0.3.21.
        setenv("OPENBLAS_NUM_THREADS", "1", 1)
        if Self.isAMDWithAVX512 { setenv("OPENBLAS_CORETYPE", "SkylakeX", 1) }
        var handle: UnsafeMutableRawPointer?
        for name in Self.names where handle == nil { handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) }
        guard let handle else { throw .notFound(Self.names) }
        guard let gemm = dlsym(handle, "cblas_sgemm"), let potrf = dlsym(handle, "spotrf_"),
            let setThreads = dlsym(handle, "openblas_set_num_threads")
        else { throw .incomplete }
        sgemm = unsafeBitCast(gemm, to: SGEMM.self)
        spotrf = unsafeBitCast(potrf, to: SPOTRF.self)
        unsafeBitCast(setThreads, to: SetThreads.self)(1)
        if let symbol = dlsym(handle, "openblas_get_corename"),
            let name = unsafeBitCast(symbol, to: CoreName.self)()
        {
            kernelName = String(cString: name)
        } else {
            kernelName = "unknown"
        }
    }

    private static var isAMDWithAVX512: Bool {
        guard let file = fopen("/proc/cpuinfo", "r") else { return false }
        defer { fclose(file) }
        var bytes = [CChar](repeating: 0, count: 8192)
        let read = fread(&bytes, 1, bytes.count - 1, file)
        let text = String(decoding: bytes.prefix(read).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.contains("AuthenticAMD") && text.contains("avx512bw") && text.contains("avx512vl")
    }

    /// C (m, n) = alpha op(A) op(B) + beta C, where op(A) is (m, k) and op(B) is (k, n); `ld…` are row lengths.
    package func multiply(
        _ a: UnsafePointer<Float>, transposeA: Bool = false, lda: Int,
        _ b: UnsafePointer<Float>, transposeB: Bool = false, ldb: Int,
        into c: UnsafeMutablePointer<Float>, ldc: Int, m: Int, n: Int, k: Int, alpha: Float = 1, beta: Float = 0
    ) {
        let rowMajor: Int32 = 101
        let plain: Int32 = 111
        let transposed: Int32 = 112
        sgemm(
            rowMajor, transposeA ? transposed : plain, transposeB ? transposed : plain, Int32(m), Int32(n), Int32(k),
            alpha, a, Int32(lda), b, Int32(ldb), beta, c, Int32(ldc))
    }

    /// Replaces the lower triangle of the symmetric (n, n) matrix `a` by L with L L^T = a; false if a is not positive
    /// definite. The upper triangle is left as it is.
    package func factorizeLower(_ a: UnsafeMutablePointer<Float>, n: Int) -> Bool {
        var order = Int32(n)
        var info: Int32 = 0
        // LAPACK is column-major: its upper triangle is the lower one of a row-major matrix.
        var triangle = CChar(UInt8(ascii: "U"))
        var leading = order
        spotrf(&triangle, &order, a, &leading, &info)
        return info == 0
    }
}

/// Why there is no linear algebra.
package enum BLASError: Error, Sendable, CustomStringConvertible {
    case notFound([String])
    case incomplete

    package var description: String {
        switch self {
        case .notFound(let names):
            "quantizing needs OpenBLAS, but none of \(names.joined(separator: ", ")) can be loaded; "
                + "install it (Debian: apt-get install libopenblas0-pthread)"
        case .incomplete:
            "the OpenBLAS found lacks cblas_sgemm, spotrf_ or openblas_set_num_threads; "
                + "install libopenblas0-pthread 0.3 or later"
        }
    }
}
