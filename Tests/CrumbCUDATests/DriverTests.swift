import CrumbCUDA
import Testing

/// Everything that runs on the one fake driver, one after another.
@Suite(.serialized) struct FakeDriverTests {}

extension FakeDriverTests {
    @Suite struct DriverTests {
        private func error(_ configure: (inout FakeDriver.State) -> Void) throws -> CUDAError {
            try #require(throws: CUDAError.self) { try FakeDriver.driver(configure) }
        }

        @Test func `functions that the driver lacks are named, all of them`() throws {
            let error = try error { $0.missing = ["cuLaunchKernelEx", "cuFuncLoad"] }
            #expect(error.kind == .driverIncomplete)
            #expect(error.description.contains("cuFuncLoad, cuLaunchKernelEx"))
        }

        @Test func `an empty library is no driver`() throws {
            let error = try #require(throws: CUDAError.self) { try Driver { _ in nil } }
            #expect(error.kind == .driverIncomplete && error.description.contains("cuInit"))
        }

        @Test func `an old driver is named with both versions, also when it lacks functions`() throws {
            for missing: Set<String> in [[], ["cuFuncLoad"]] {
                let error = try error { state in
                    state.version = 12080
                    state.missing = missing
                }
                #expect(error.kind == .driverTooOld)
                for part in ["CUDA 12.8", "need 13.0", "driver 580"] { #expect(error.description.contains(part)) }
                // Nothing of an unknown driver is started.
                #expect(FakeDriver.state.count("cuInit") == 0)
            }
        }

        @Test func `no card is one error, whether the driver says so or counts none`() throws {
            #expect(try error { $0.codes["cuInit"] = 100 }.kind == .noDevice)
            #expect(try error { $0.deviceCount = 0 }.kind == .noDevice)
        }

        @Test func `a driver that was updated under a running system asks for a restart`() throws {
            let error = try error { $0.codes["cuInit"] = 803 }
            #expect(error.kind == .refused && error.code == 803 && error.description.contains("restart the machine"))
        }

        @Test func `a card that is not there is refused with those that are`() throws {
            let driver = try FakeDriver.driver { $0.deviceCount = 2 }
            for index in [2, -1] {
                let error = try #require(throws: CUDAError.self) { try Device(index, driver: driver) }
                #expect(error.kind == .noSuchDevice && error.description.contains("cuda:0 to cuda:1"))
            }
            #expect(try Device(1, driver: driver).label == "cuda:1 (Fake H200)")
        }

        @Test func `a card says what it is`() throws {
            let info = try FakeDriver.driver { $0.capability = (8, 9) }.info(of: 0)
            #expect(info.capability == ComputeCapability(8, 9) && "\(info.capability)" == "8.9")
            #expect(info.multiprocessors == 132 && info.totalBytes == 80 << 30 && info.clockMegahertz == 1000)
            #expect(!info.capability.hasProgrammaticLaunch && "\(info.driverVersion)" == "13.0")
        }

        @Test func `an unknown code is told by its number`() throws {
            let error = try error { $0.codes["cuInit"] = 12345 }
            #expect(error.description.contains("error 12345"))
        }

        @Test func `a context is given back once, after the last thing that uses it`() throws {
            func use() throws {
                let event: Event
                do {
                    let device = try FakeDriver.device()
                    event = try Event(on: device)
                }
                #expect(FakeDriver.state.alive["cuDevicePrimaryCtxRetain"] == 1)
                try event.synchronize()
            }
            try use()
            #expect(FakeDriver.state.alive.values.allSatisfy { $0 == 0 })
            #expect(FakeDriver.state.calls.last == "cuDevicePrimaryCtxRelease_v2")
        }
    }
}
