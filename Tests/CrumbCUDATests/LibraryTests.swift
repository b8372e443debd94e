import CrumbCUDA
import Synchronization
import Testing

/// What the fake cuBLAS was asked to multiply, and what it answers.
private struct ProductCall: Sendable {
    var status: Int32 = 0
    var transposes: [Int32] = []
    var sizes: [Int32] = []
    var addresses: [UInt] = []
    var types: [Int32] = []
    var strides: [Int32] = []
    var scales: [Float] = []
    /// Of a batch: from one matrix to the next, and how many products.
    var distances: [Int64] = []
    var batches: Int32 = 0
    var workspaceBytes = 0
}

private let product = Mutex(ProductCall())

private func entry<Function>(_ function: Function) -> UnsafeMutableRawPointer {
    unsafeBitCast(function, to: UnsafeMutableRawPointer.self)
}

extension FakeDriverTests {
    @Suite struct LibraryTests {
        private static let multiply: CuBLASTable.GEMM = {
            _, opA, opB, m, n, k, alpha, a, typeA, strideA, b, typeB, strideB, beta, c, typeC, strideC, compute, _ in
            let scales = [alpha, beta].map { $0?.load(as: Float.self) ?? .nan }
            return product.withLock { call in
                call.transposes = [opA, opB]
                call.sizes = [m, n, k]
                call.addresses = [UInt(bitPattern: a), UInt(bitPattern: b), UInt(bitPattern: c)]
                call.types = [typeA, typeB, typeC, compute]
                call.strides = [strideA, strideB, strideC]
                call.scales = scales
                return call.status
            }
        }

        /// A cuBLAS of fake functions, without those that are missing.
        private func table(missing: Set<String> = []) throws(CUDAError) -> CuBLASTable {
            let functions: [String: UnsafeMutableRawPointer] = [
                "cublasCreate_v2": entry(
                    { handle in FakeDriver.make("cublasCreate_v2", handle) }
                        as @convention(c) (UnsafeMutablePointer<OpaquePointer?>?) -> Int32),
                "cublasDestroy_v2": entry(
                    { _ in FakeDriver.destroy("cublasDestroy_v2", "cublasCreate_v2") }
                        as @convention(c) (OpaquePointer?) -> Int32),
                "cublasGetVersion_v2": entry(
                    { _, version in FakeDriver.number("cublasGetVersion_v2", version, 130_100) }
                        as @convention(c) (OpaquePointer?, UnsafeMutablePointer<Int32>?) -> Int32),
                "cublasSetStream_v2": entry(
                    { _, _ in FakeDriver.answer("cublasSetStream_v2") }
                        as @convention(c) (OpaquePointer?, OpaquePointer?) -> Int32),
                "cublasSetWorkspace_v2": entry(
                    { _, _, bytes in
                        product.withLock { $0.workspaceBytes = bytes }
                        return FakeDriver.answer("cublasSetWorkspace_v2")
                    } as @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?, Int) -> Int32),
                "cublasGemmEx": entry(Self.multiply),
                "cublasGemmStridedBatchedEx": entry(Self.multiplyBatch),
                "cublasGetStatusString": entry({ _ in nil } as @convention(c) (Int32) -> UnsafePointer<CChar>?),
            ]
            return try CuBLASTable { missing.contains($0) ? nil : functions[$0] }
        }

        @Test func `a row-major product becomes the column-major one that cuBLAS knows`() throws {
            product.withLock { $0 = ProductCall() }
            func use() throws {
                let stream = try Stream(on: try FakeDriver.device())
                let library = try CuBLAS(try table(), on: stream)
                #expect(library.version == 130_100)
                try library.multiply(
                    .init(address: 0x100, type: .half, rowStride: 40),
                    .init(address: 0x200, type: .half, rowStride: 30),
                    into: .init(address: 0x300, type: .float, rowStride: 50), m: 3, n: 20, k: 30, alpha: 2, beta: 1)
            }
            try use()
            let call = product.withLock { $0 }
            #expect(call.sizes == [20, 3, 30] && call.addresses == [0x200, 0x100, 0x300])
            #expect(call.strides == [30, 40, 50] && call.types == [2, 2, 0, 68])
            #expect(call.transposes == [1, 0] && call.scales == [2, 1] && call.workspaceBytes == 32 << 20)
            #expect(FakeDriver.state.alive.values.allSatisfy { $0 == 0 })
        }

        @Test func `factors of a batch change places, transposed as they are stored`() throws {
            product.withLock { $0 = ProductCall() }
            func factor(
                _ address: UInt64, _ stride: Int, _ transposed: Bool = false, distance: Int
            ) -> CuBLAS.Factor {
                CuBLAS.Factor(
                    CuBLAS.Matrix(address: address, type: .bfloat, rowStride: stride), transposed: transposed,
                    batchStride: distance)
            }
            func use() throws {
                let stream = try Stream(on: try FakeDriver.device())
                try CuBLAS(try table(), on: stream).multiply(
                    factor(0x100, 40, true, distance: 7), factor(0x200, 30, distance: 8),
                    into: factor(0x300, 50, distance: 9), m: 3, n: 20, k: 30, alpha: -1, beta: 1, batches: 4)
            }
            try use()
            let call = product.withLock { $0 }
            #expect(call.sizes == [20, 3, 30] && call.addresses == [0x200, 0x100, 0x300])
            #expect(call.strides == [30, 40, 50] && call.types == [14, 14, 14, 68])
            #expect(call.transposes == [0, 1] && call.scales == [-1, 1])
            #expect(call.distances == [8, 7, 9] && call.batches == 4)
        }

        /// Without its distances and number a batch is a product like others.
        private static let multiplyBatch: CuBLASTable.BatchedGEMM = {
            handle, opA, opB, m, n, k, alpha, a, typeA, lda, distanceA, b, typeB, ldb, distanceB, beta, c, typeC, ldc,
            distanceC, batches, compute, algorithm in
            product.withLock { call in
                call.distances = [distanceA, distanceB, distanceC]
                call.batches = batches
            }
            return multiply(
                handle, opA, opB, m, n, k, alpha, a, typeA, lda, b, typeB, ldb, beta, c, typeC, ldc, compute, algorithm)
        }

        @Test func `a product that fails says its sizes, and no handle is left`() throws {
            product.withLock {
                $0 = ProductCall()
                $0.status = 13
            }
            func use() throws {
                let stream = try Stream(on: try FakeDriver.device())
                let matrix = CuBLAS.Matrix(address: 1, type: .half, rowStride: 8)
                try CuBLAS(try table(), on: stream).multiply(matrix, matrix, into: matrix, m: 5, n: 6, k: 7)
            }
            let error = try #require(throws: CUDAError.self) { try use() }
            #expect(error.kind == .library && error.code == 13)
            #expect(error.description.contains("multiplying M 5, N 6, K 7 with cuBLAS on cuda:0 (Fake H200)"))
            #expect(FakeDriver.state.alive.values.allSatisfy { $0 == 0 })
        }

        @Test func `a handle that cannot be prepared is given back`() throws {
            let stream = try Stream(on: try FakeDriver.device { $0.codes["cublasSetWorkspace_v2"] = 7 })
            let table = try table()
            #expect(throws: CUDAError.self) { _ = try CuBLAS(table, on: stream) }
            #expect(FakeDriver.state.alive["cublasCreate_v2"] == 0 && FakeDriver.state.alive["cuMemAlloc_v2"] == 0)
        }

        @Test func `functions that cuBLAS or NVML lack are named`() throws {
            let error = try #require(throws: CUDAError.self) { try table(missing: ["cublasGemmEx"]) }
            #expect(error.kind == .library && error.description.contains("cublasGemmEx"))
            let other = try #require(throws: CUDAError.self) { try NVML { _ in nil } }
            #expect(other.kind == .library && other.description.contains("nvmlDeviceGetTotalEnergyConsumption"))
        }

        @Test func `a folder without cuBLAS is named in the error, with the package to install`() throws {
            do throws(CUDAError) {
                // A machine that has cuBLAS loads it.
                _ = try CuBLASTable.load(folders: ["/nowhere"])
            } catch {
                #expect(error.kind == .library && error.description.contains("/nowhere/libcublas.so.13"))
            }
        }

        @Test func `a card tells its energy and clocks, or nil where it does not`() throws {
            let info = try FakeDriver.driver().info(of: 0)
            let functions: [String: UnsafeMutableRawPointer] = [
                "nvmlInit_v2": entry({ 0 } as @convention(c) () -> Int32),
                "nvmlSystemGetDriverVersion": entry(
                    { _, _ in 1 } as @convention(c) (UnsafeMutablePointer<CChar>?, UInt32) -> Int32),
                "nvmlDeviceGetHandleByPciBusId_v2": entry(
                    { _, handle in
                        handle?.pointee = OpaquePointer(bitPattern: 0x10)
                        return 0
                    } as @convention(c) (UnsafePointer<CChar>?, UnsafeMutablePointer<OpaquePointer?>?) -> Int32),
                "nvmlDeviceGetTotalEnergyConsumption": entry(
                    { _, energy in
                        energy?.pointee = 1 << 40
                        return 0
                    } as @convention(c) (OpaquePointer?, UnsafeMutablePointer<UInt64>?) -> Int32),
                "nvmlDeviceGetPowerUsage": entry(
                    { _, _ in 3 } as @convention(c) (OpaquePointer?, UnsafeMutablePointer<UInt32>?) -> Int32),
                "nvmlDeviceGetClockInfo": entry(
                    { _, clock, value in
                        value?.pointee = UInt32(clock) * 100
                        return 0
                    } as @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<UInt32>?) -> Int32),
                "nvmlDeviceGetMaxClockInfo": entry(
                    { _, _, _ in 3 } as @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<UInt32>?) -> Int32),
            ]
            let card = try #require(try NVML { functions[$0] }.card(info))
            #expect(card.energyMillijoules == 1 << 40 && card.powerMilliwatts == nil)
            #expect(card.clockMegahertz == 100 && card.memoryClockMegahertz == 200 && card.maxClockMegahertz == nil)
        }
    }
}
