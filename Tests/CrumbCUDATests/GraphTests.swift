import CrumbCUDA
import Testing

extension FakeDriverTests {
    @Suite struct GraphTests {
        @Test func `recorded work becomes a graph, and the recording is thrown away`() throws {
            func use() throws {
                let device = try FakeDriver.device()
                let stream = try Stream(on: device)
                let kernel = try KernelLibrary(FakeImages.scale(["sm_90a"]), on: device)
                    .kernel("scale", arguments: ScaleArguments.self)
                let graph = try stream.capture { () throws(CUDAError) in
                    for _ in 0..<3 {
                        try kernel.launch(grid: 1, block: 32, stream: stream, arguments: ScaleArguments())
                    }
                }
                #expect(graph.nodeCount == 3)
                #expect(FakeDriver.state.alive["cuStreamEndCapture"] == 0)
                try graph.upload(in: stream)
                try graph.launch(in: stream)
                #expect(FakeDriver.state.count("cuGraphLaunch") == 1)
            }
            try use()
            #expect(FakeDriver.state.alive.values.allSatisfy { $0 == 0 })
        }

        @Test func `work that fails ends the recording, and its own error counts`() throws {
            func use() throws {
                let device = try FakeDriver.device { $0.codes["cuMemsetD8Async"] = 1 }
                let stream = try Stream(on: device)
                let buffer = try DeviceBuffer<Float>(count: 1, on: device, for: "x")
                _ = try stream.capture { () throws(CUDAError) in try stream.fill(buffer.view) }
            }
            let error = try #require(throws: CUDAError.self) { try use() }
            #expect(error.description.contains("filling 4 bytes"))
            #expect(FakeDriver.state.count("cuStreamEndCapture") == 1)
            #expect(FakeDriver.state.alive.values.allSatisfy { $0 == 0 })
        }

        @Test func `a recording that something broke is an error`() throws {
            let device = try FakeDriver.device { $0.codes["cuStreamEndCapture"] = 901 }
            let stream = try Stream(on: device)
            let error = try #require(throws: CUDAError.self) { _ = try stream.capture { () throws(CUDAError) in } }
            #expect(error.kind == .refused && error.code == 901 && error.description.contains("recording a graph"))
        }

        @Test func `a graph for which there is no memory leaves nothing behind`() throws {
            func use() throws {
                let device = try FakeDriver.device { $0.codes["cuGraphInstantiateWithFlags"] = 2 }
                let stream = try Stream(on: device)
                _ = try stream.capture { () throws(CUDAError) in }
            }
            let error = try #require(throws: CUDAError.self) { try use() }
            #expect(error.kind == .outOfMemory && error.description.contains("making a graph of 0 nodes"))
            #expect(FakeDriver.state.alive.values.allSatisfy { $0 == 0 })
        }

        @Test func `events are pending, happen, and tell the time between two`() throws {
            let device = try FakeDriver.device { $0.codes["cuEventQuery"] = 600 }
            let stream = try Stream(on: device)
            let start = try Event(on: device, isTimed: true)
            let end = try Event(on: device, isTimed: true)
            try start.record(in: stream)
            try end.record(in: stream)
            try stream.wait(for: start)
            #expect(try !end.hasHappened())
            FakeDriver.change { $0.codes = [:] }
            #expect(try end.hasHappened())
            #expect(try end.milliseconds(since: start) == 1.5)
        }
    }
}
