import CrumbCUDA
import Testing

extension FakeDriverTests {
    @Suite struct LaunchTests {
        private func kernel(_ device: Device) throws(CUDAError) -> Kernel {
            try KernelLibrary(FakeImages.scale(["sm_80", "sm_90a"]), on: device)
                .kernel("scale", arguments: ScaleArguments.self)
        }

        @Test func `a launch passes extents, shared memory, attributes and the argument struct`() throws {
            let device = try FakeDriver.device()
            let stream = try Stream(on: device)
            let arguments = ScaleArguments()
            try kernel(device).launch(
                grid: LaunchExtent(6, 5, 4), block: 96, sharedBytes: 1000, stream: stream, arguments: arguments,
                cluster: LaunchExtent(2), programmatic: true)
            let launch = try #require(FakeDriver.state.launches.first)
            #expect(launch.grid == [6, 5, 4] && launch.block == [96, 1, 1] && launch.sharedBytes == 1000)
            // CUlaunchAttributeID: 4 is the cluster's extent, 6 allows a programmatic start.
            #expect(launch.attributes[4] == [2, 1, 1] && launch.attributes[6]?.first == 1)
            #expect(launch.attributes.count == 2)
            #expect(launch.arguments == withUnsafeBytes(of: arguments) { Array($0) })
        }

        @Test(
            arguments: [(8, "sm_80", false), (9, "compute_80", false), (9, "compute_90", true)]
                as [(
                    Int32, String, Bool
                )]) func `only an image for Hopper or later is launched programmatically`(
                _ major: Int32, _ target: String, _ expected: Bool
            ) throws
        {
            let device = try FakeDriver.device { $0.capability = (major, 0) }
            let stream = try Stream(on: device)
            let kernel = try KernelLibrary(FakeImages.scale([target]), on: device)
                .kernel("scale", arguments: ScaleArguments.self)
            try kernel.launch(grid: 1, block: 32, stream: stream, arguments: ScaleArguments(), programmatic: true)
            #expect(FakeDriver.state.launches.first?.attributes.isEmpty == !expected)
        }

        @Test func `a failing launch says which kernel, which extents, and what the driver said`() throws {
            let device = try FakeDriver.device { $0.codes["cuLaunchKernelEx"] = 701 }
            let stream = try Stream(on: device)
            let kernel = try kernel(device)
            let error = try #require(throws: CUDAError.self) {
                try kernel.launch(
                    grid: 7, block: 64, sharedBytes: 99, stream: stream, arguments: ScaleArguments())
            }
            #expect(error.kind == .badLaunch && error.code == 701)
            for part in ["launching scale", "grid 7x1x1", "block 64x1x1", "99 bytes", "FAKE_701"] {
                #expect(error.description.contains(part))
            }
            try stream.synchronize()
        }

        @Test func `more threads than the kernel runs are refused without asking the driver`() throws {
            let device = try FakeDriver.device()
            let stream = try Stream(on: device)
            let kernel = try kernel(device)
            let error = try #require(throws: CUDAError.self) {
                try kernel.launch(grid: 1, block: 2048, stream: stream, arguments: ScaleArguments())
            }
            #expect(error.kind == .badLaunch && FakeDriver.state.launches.isEmpty)
        }

        @Test func `arguments of another size than the kernel's are refused when it is looked up`() throws {
            let device = try FakeDriver.device { $0.argumentBytes = 32 }
            let error = try #require(throws: CUDAError.self) { try kernel(device) }
            #expect(error.kind == .badLaunch && error.description.contains("takes 32 bytes"))
            #expect(error.description.contains("ScaleArguments has 24"))
        }

        @Test func `more shared memory than a block has is refused with both numbers`() throws {
            let kernel = try kernel(try FakeDriver.device())
            try kernel.allowSharedMemory(bytes: 232_448)
            let error = try #require(throws: CUDAError.self) { try kernel.allowSharedMemory(bytes: 232_449) }
            #expect(error.description.contains("232449") && error.description.contains("232448"))
        }

        @Test func `a module is loaded once for all its kernels and unloaded after the last`() throws {
            func use() throws {
                let library = try KernelLibrary(FakeImages.scale(["sm_90a"]), on: try FakeDriver.device())
                let scale = try library.kernel("scale", arguments: ScaleArguments.self)
                _ = try library.kernel("fault", arguments: ScaleArguments.self)
                #expect(scale.module.target.name == "sm_90a" && library.has("fault") && !library.has("other"))
                #expect(FakeDriver.state.count("cuModuleLoadDataEx") == 1)
            }
            try use()
            #expect(FakeDriver.state.alive["cuModuleLoadDataEx"] == 0)
        }

        @Test(arguments: [(209, "sm_90a"), (218, "compute_80"), (222, "compute_80")] as [(Int32, String)])
        func `an image that the driver refuses is named with the card and the compiler's words`(
            _ code: Int32, _ target: String
        ) throws {
            let device = try FakeDriver.device { state in
                state.codes["cuModuleLoadDataEx"] = code
                state.jitLog = "line 1: no\nline 2: never\n"
            }
            let library = try KernelLibrary(FakeImages.scale([target]), on: device)
            let error = try #require(throws: CUDAError.self) {
                try library.kernel("scale", arguments: ScaleArguments.self)
            }
            #expect(error.kind == .noImage && error.code == code)
            for part in ["cuda:0 (Fake H200)", "9.0", target, "line 1: no; line 2: never"] {
                #expect(error.description.contains(part))
            }
        }
    }
}
