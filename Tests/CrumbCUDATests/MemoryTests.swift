import CrumbCUDA
import Testing

extension FakeDriverTests {
    @Suite struct MemoryTests {
        @Test func `what cannot fit is refused before anything is allocated`() throws {
            let device = try FakeDriver.device { $0.freeBytes = 3 << 30 }
            try device.require(bytes: 3 << 30, for: "the model")
            let error = try #require(throws: CUDAError.self) {
                try device.require(bytes: 5 << 30, for: "the model with a context of 4096")
            }
            #expect(error.kind == .outOfMemory)
            #expect(
                error.description.hasPrefix(
                    "the model with a context of 4096 needs 5.00 GiB on cuda:0 (Fake H200), but 3.00 GiB of 80.00 GiB "
                        + "are free"))
            #expect(FakeDriver.state.count("cuMemAlloc_v2") == 0)
        }

        @Test func `an allocation that fails names what was needed and what is free`() throws {
            let device = try FakeDriver.device { $0.freeBytes = 1000 }
            let error = try #require(throws: CUDAError.self) {
                _ = try DeviceBuffer<Float>(count: 1 << 20, on: device, for: "the KV cache")
            }
            #expect(error.kind == .outOfMemory)
            #expect(
                error.description.contains("the KV cache needs 4.00 MiB") && error.description.contains("1000 bytes"))
            // The device goes on working.
            _ = try DeviceBuffer<Float>(count: 10, on: device, for: "the KV cache")
        }

        @Test(arguments: [Int.max, Int.max / 4, -1]) func `a count beyond all memory is an error, not a trap`(
            _ count: Int
        ) throws {
            let device = try FakeDriver.device()
            let error = try #require(throws: CUDAError.self) {
                _ = try DeviceBuffer<UInt64>(count: count, on: device, for: "a cache")
            }
            #expect(error.kind == .outOfMemory)
            #expect(throws: CUDAError.self) { _ = try PinnedBuffer<UInt64>(count: count, on: device, for: "a cache") }
        }

        @Test func `copies go there and back, in part and within the card`() throws {
            let device = try FakeDriver.device()
            let stream = try Stream(on: device)
            let buffer = try stream.upload([Float](arrayLiteral: 1, 2, 3, 4), for: "x")
            let other = try DeviceBuffer<Float>(count: 4, on: device, for: "y")
            try stream.fill(other.view, with: 0)
            try stream.copy(buffer.view[1..<3], to: other.view[2..<4])
            #expect(try stream.download(other.view) == [0, 0, 2, 3])
            #expect(try stream.download(other.view[2..<3].rebound(to: UInt32.self)) == [Float(2).bitPattern])
            let pinned = try PinnedBuffer<Float>(count: 2, on: device, for: "z")
            try stream.copy(buffer.view[2..<4], to: pinned.elements)
            try stream.synchronize()
            #expect(Array(pinned.elements) == [3, 4])
        }

        @Test func `empty windows are copied without a call`() throws {
            let device = try FakeDriver.device()
            let stream = try Stream(on: device)
            let buffer = try stream.upload([Int32](), for: "nothing")
            try stream.fill(buffer.view)
            #expect(try stream.download(buffer.view).isEmpty)
            #expect(FakeDriver.state.calls.allSatisfy { !$0.hasPrefix("cuMemcpy") && !$0.hasPrefix("cuMemset") })
        }

        @Test func `everything is freed once, also when a later step fails`() throws {
            func use() throws {
                let device = try FakeDriver.device { $0.codes["cuMemcpyHtoDAsync_v2"] = 1 }
                let stream = try Stream(on: device)
                let pinned = try PinnedBuffer<UInt8>(count: 5, on: device, for: "x")
                _ = try stream.upload(UnsafeBufferPointer(pinned.elements), for: "x")
            }
            #expect(throws: CUDAError.self) { try use() }
            let state = FakeDriver.state
            #expect(state.alive.values.allSatisfy { $0 == 0 })
            #expect(Set(state.alive.keys).isSuperset(of: ["cuMemAlloc_v2", "cuMemHostAlloc", "cuStreamCreate"]))
        }
    }
}
