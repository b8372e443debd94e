/// The functions of cuBLAS that Crumb calls, under their names in cublas_api.h without "cublas".
package struct CuBLASTable: Sendable {
    package typealias Handle = OpaquePointer
    package typealias Status = Int32
    package typealias GEMM =
        @convention(c) (
            Handle?, Int32, Int32, Int32, Int32, Int32, UnsafeRawPointer?, UnsafeRawPointer?, Int32, Int32,
            UnsafeRawPointer?, Int32, Int32, UnsafeRawPointer?, UnsafeMutableRawPointer?, Int32, Int32, Int32, Int32
        ) -> Status

    package typealias BatchedGEMM =
        @convention(c) (
            Handle?, Int32, Int32, Int32, Int32, Int32, UnsafeRawPointer?, UnsafeRawPointer?, Int32, Int32, Int64,
            UnsafeRawPointer?, Int32, Int32, Int64, UnsafeRawPointer?, UnsafeMutableRawPointer?, Int32, Int32, Int64,
            Int32, Int32, Int32
        ) -> Status

    package let create: @convention(c) (UnsafeMutablePointer<Handle?>?) -> Status
    package let destroy: @convention(c) (Handle?) -> Status
    package let getVersion: @convention(c) (Handle?, UnsafeMutablePointer<Int32>?) -> Status
    package let setStream: @convention(c) (Handle?, OpaquePointer?) -> Status
    package let setWorkspace: @convention(c) (Handle?, UnsafeMutableRawPointer?, Int) -> Status
    package let gemmEx: GEMM
    package let gemmStridedBatchedEx: BatchedGEMM
    package let getStatusString: @convention(c) (Status) -> UnsafePointer<CChar>?

    /// The file that was loaded; nil where that is unknown.
    package var file: String? { SharedLibrary.file(of: unsafeBitCast(create, to: UnsafeRawPointer.self)) }

    /// The releases whose functions have these forms.
    private static let releases = ["13", "12"]

    /// Loads cuBLAS from where the system finds it, or from CUDA's own folder.
    ///
    /// - Parameter folders: further places to look in, such as a Python package's lib folder.
    package static func load(folders: [String] = []) throws(CUDAError) -> CuBLASTable {
        var names: [String] = []
        for release in releases {
            for folder in [""] + (folders + ["/usr/local/cuda/lib64"]).map({ $0 + "/" }) {
                // cuBLAS opens cuBLASLt by its bare name, which is found only if it is in the process already.
                _ = SharedLibrary(firstOf: [folder + "libcublasLt.so." + release], isGlobal: true)
                let name = folder + "libcublas.so." + release
                names.append(name)
                guard let library = SharedLibrary(firstOf: [name]) else { continue }
                return try CuBLASTable { library.address($0) }
            }
        }
        throw CUDAError(
            .library,
            "none of \(names.joined(separator: ", ")) can be loaded; 16-bit models need cuBLAS on the GPU: install "
                + "CUDA's libcublas 13, or put its folder into LD_LIBRARY_PATH")
    }

    /// A table whose functions `address` finds by name.
    package init(_ address: @escaping (String) -> UnsafeMutableRawPointer?) throws(CUDAError) {
        var symbol = SymbolReader(address)
        create = symbol("cublasCreate_v2")
        destroy = symbol("cublasDestroy_v2")
        getVersion = symbol("cublasGetVersion_v2")
        setStream = symbol("cublasSetStream_v2")
        setWorkspace = symbol("cublasSetWorkspace_v2")
        gemmEx = symbol("cublasGemmEx")
        gemmStridedBatchedEx = symbol("cublasGemmStridedBatchedEx")
        getStatusString = symbol("cublasGetStatusString")
        guard symbol.missing.isEmpty else {
            throw CUDAError(
                .library,
                "the cuBLAS found lacks \(symbol.missing.joined(separator: ", ")); install CUDA's libcublas 13")
        }
    }
}
