import CrumbCUDA
import Testing

extension FakeDriverTests {
    @Suite struct FailureTests {
        @Test(
            arguments: [(999, CUDAError.Kind.lost), (46, .lost), (719, .fault), (700, .fault)]
                as [(
                    Int32, CUDAError.Kind
                )]) func `a card that vanishes or faults stays out of use, and the driver is not asked again`(
                _ code: Int32, _ kind: CUDAError.Kind
            ) throws
        {
            let device = try FakeDriver.device()
            let stream = try Stream(on: device)
            let buffer = try stream.upload([Float(1)], for: "x")
            FakeDriver.change { $0.codes["cuStreamSynchronize"] = code }
            let first = try #require(throws: CUDAError.self) { try stream.synchronize() }
            #expect(first.kind == kind && first.code == code)
            #expect(first.description.contains("waiting for the stream on cuda:0 (Fake H200) failed with FAKE_\(code)"))
            FakeDriver.change { $0.codes = [:] }
            let calls = FakeDriver.state.calls.count
            let second = try #require(throws: CUDAError.self) { try stream.fill(buffer.view) }
            #expect(second.kind == kind && second.code == code && second.description.contains("filling 4 bytes"))
            #expect(FakeDriver.state.calls.count == calls)
        }

        @Test func `after a loss everything is still released, in silence`() throws {
            func use() throws {
                let device = try FakeDriver.device()
                let stream = try Stream(on: device)
                let buffer = try stream.upload([Float(1)], for: "x")
                FakeDriver.change { state in
                    state.codes = ["cuStreamSynchronize": 999, "cuMemFree_v2": 999, "cuStreamDestroy_v2": 999]
                }
                _ = try stream.download(buffer.view)
            }
            let error = try #require(throws: CUDAError.self) { try use() }
            #expect(error.kind == .lost)
            #expect(FakeDriver.state.alive.values.allSatisfy { $0 == 0 })
        }

        @Test func `what fails while it is released is reported by the next call, once`() throws {
            let device = try FakeDriver.device { $0.codes["cuMemFree_v2"] = 1 }
            func use() throws { _ = try DeviceBuffer<Float>(count: 1, on: device, for: "x") }
            try use()
            let error = try #require(throws: CUDAError.self) { try device.memory() }
            #expect(error.code == 1 && error.description.contains("releasing something, before asking for the free"))
            _ = try device.memory()
        }

        @Test func `a context that cannot be made current fails the call, not the program`() throws {
            let device = try FakeDriver.device { $0.codes["cuCtxSetCurrent"] = 201 }
            let error = try #require(throws: CUDAError.self) { try device.memory() }
            #expect(error.kind == .refused && error.code == 201)
            #expect(FakeDriver.state.count("cuMemGetInfo_v2") == 0)
        }

        @Test func `a card that takes no more work is an error when it is opened`() throws {
            let error = try #require(throws: CUDAError.self) {
                try FakeDriver.device { $0.codes["cuDevicePrimaryCtxRetain"] = 2 }
            }
            #expect(error.kind == .outOfMemory && error.description.contains("opening cuda:0 (Fake H200)"))
        }
    }
}
