import CrumbCUDA
import CrumbCUDATypes
import Glibc

private typealias Fake = FakeDriver

extension FakeDriver {
    typealias Table = DriverTable

    /// The fake's functions under the names that a real library has.
    nonisolated(unsafe) static let functions: [String: UnsafeMutableRawPointer] = driverFunctions.merging(
        workFunctions
    ) { first, _ in first }

    private static func entry<Function>(_ function: Function) -> UnsafeMutableRawPointer {
        unsafeBitCast(function, to: UnsafeMutableRawPointer.self)
    }

    private static let name: Table.NameOfDevice = { text, length, _ in
        if let text { strncpy(text, "Fake H200", Int(length)) }
        return 0
    }
    private static let errorText: @convention(c) (Int32, Table.Text) -> Int32 = { code, text in
        guard code != 12345 else { return 1 }
        // Kept for the life of the process, as the driver keeps its own.
        text?.pointee = UnsafePointer(strdup("FAKE_\(code)"))
        return 0
    }

    private static var driverFunctions: [String: UnsafeMutableRawPointer] {
        [
            "cuInit": entry({ _ in Fake.answer("cuInit") } as @convention(c) (UInt32) -> Int32),
            "cuDriverGetVersion": entry(
                { Fake.number("cuDriverGetVersion", $0, Fake.state.version) } as @convention(c) (Table.Number) -> Int32),
            "cuGetErrorName": entry(errorText),
            "cuGetErrorString": entry(errorText),
            "cuDeviceGetCount": entry(
                { Fake.number("cuDeviceGetCount", $0, Fake.state.deviceCount) }
                    as @convention(c) (Table.Number) -> Int32),
            "cuDeviceGet": entry(
                { Fake.number("cuDeviceGet", $0, $1) } as @convention(c) (Table.Number, Int32) -> Int32),
            "cuDeviceGetName": entry(name),
            "cuDeviceGetPCIBusId": entry(name),
            "cuDeviceGetAttribute": entry(
                { target, attribute, _ in
                    let capability = Fake.state.capability
                    let values: [Int32: Int32] = [16: 132, 75: capability.0, 76: capability.1, 97: 232_448]
                    return Fake.number("cuDeviceGetAttribute", target, values[attribute] ?? 1_000_000)
                } as @convention(c) (Table.Number, Int32, Int32) -> Int32),
            "cuDeviceTotalMem_v2": entry(
                { size, _ in
                    size?.pointee = Fake.state.totalBytes
                    return Fake.answer("cuDeviceTotalMem_v2")
                } as @convention(c) (Table.Size, Int32) -> Int32),
            "cuDevicePrimaryCtxRetain": entry(
                { handle, _ in Fake.make("cuDevicePrimaryCtxRetain", handle) }
                    as @convention(c) (Table.NewHandle, Int32) -> Int32),
            "cuDevicePrimaryCtxRelease_v2": entry(
                { _ in Fake.destroy("cuDevicePrimaryCtxRelease_v2", "cuDevicePrimaryCtxRetain") }
                    as @convention(c) (Int32) -> Int32),
            "cuCtxSetCurrent": entry({ _ in Fake.answer("cuCtxSetCurrent") } as Table.OnHandle),
            "cuMemGetInfo_v2": entry(
                { free, total in
                    free?.pointee = Fake.state.freeBytes
                    total?.pointee = Fake.state.totalBytes
                    return Fake.answer("cuMemGetInfo_v2")
                } as @convention(c) (Table.Size, Table.Size) -> Int32),
            "cuMemAlloc_v2": entry(
                { address, bytes in
                    var handle: OpaquePointer?
                    let code = bytes > Fake.state.freeBytes ? 2 : Fake.make("cuMemAlloc_v2", &handle)
                    if code == 0 { address?.pointee = UInt64(UInt(bitPattern: malloc(bytes))) }
                    return code
                } as @convention(c) (UnsafeMutablePointer<UInt64>?, Int) -> Int32),
            "cuMemFree_v2": entry(
                { address in
                    free(UnsafeMutableRawPointer(bitPattern: UInt(address)))
                    return Fake.destroy("cuMemFree_v2", "cuMemAlloc_v2")
                } as @convention(c) (UInt64) -> Int32),
            "cuMemHostAlloc": entry(
                { target, bytes, _ in
                    var handle: OpaquePointer?
                    let code = Fake.make("cuMemHostAlloc", &handle)
                    if code == 0 { target?.pointee = malloc(bytes) }
                    return code
                } as @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>?, Int, UInt32) -> Int32),
            "cuMemFreeHost": entry(
                { address in
                    free(address)
                    return Fake.destroy("cuMemFreeHost", "cuMemHostAlloc")
                } as @convention(c) (Table.Bytes) -> Int32),
            "cuMemcpyHtoDAsync_v2": entry(
                { target, source, bytes, _ in
                    Fake.copy("cuMemcpyHtoDAsync_v2", from: UInt(bitPattern: source), to: UInt(target), bytes)
                } as @convention(c) (UInt64, UnsafeRawPointer?, Int, OpaquePointer?) -> Int32),
            "cuMemcpyDtoHAsync_v2": entry(
                { target, source, bytes, _ in
                    Fake.copy("cuMemcpyDtoHAsync_v2", from: UInt(source), to: UInt(bitPattern: target), bytes)
                } as @convention(c) (Table.Bytes, UInt64, Int, OpaquePointer?) -> Int32),
            "cuMemcpyDtoDAsync_v2": entry(
                { target, source, bytes, _ in
                    Fake.copy("cuMemcpyDtoDAsync_v2", from: UInt(source), to: UInt(target), bytes)
                } as @convention(c) (UInt64, UInt64, Int, OpaquePointer?) -> Int32),
            "cuMemsetD8Async": entry(
                { target, byte, bytes, _ in
                    let code = Fake.answer("cuMemsetD8Async")
                    if code == 0, let target = UnsafeMutableRawPointer(bitPattern: UInt(target)) {
                        memset(target, Int32(byte), bytes)
                    }
                    return code
                } as @convention(c) (UInt64, UInt8, Int, OpaquePointer?) -> Int32),
        ]
    }

    private static var workFunctions: [String: UnsafeMutableRawPointer] {
        [
            "cuStreamCreate": entry({ handle, _ in Fake.make("cuStreamCreate", handle) } as Table.MakeFlagged),
            "cuStreamDestroy_v2": entry(
                { _ in Fake.destroy("cuStreamDestroy_v2", "cuStreamCreate") } as Table.OnHandle),
            "cuStreamSynchronize": entry({ _ in Fake.answer("cuStreamSynchronize") } as Table.OnHandle),
            "cuStreamWaitEvent": entry(
                { _, _, _ in Fake.answer("cuStreamWaitEvent") }
                    as @convention(c) (OpaquePointer?, OpaquePointer?, UInt32) -> Int32),
            "cuStreamBeginCapture_v2": entry(
                { _, _ in Fake.answer("cuStreamBeginCapture_v2") } as @convention(c) (OpaquePointer?, UInt32) -> Int32),
            "cuStreamEndCapture": entry(
                { _, graph in Fake.make("cuStreamEndCapture", graph) }
                    as @convention(c) (OpaquePointer?, Table.NewHandle) -> Int32),
            "cuGraphInstantiateWithFlags": entry(
                { handle, _, _ in Fake.make("cuGraphInstantiateWithFlags", handle) }
                    as @convention(c) (Table.NewHandle, OpaquePointer?, UInt64) -> Int32),
            "cuGraphGetNodes": entry(
                { _, _, count in
                    count?.pointee = Fake.state.launches.count
                    return Fake.answer("cuGraphGetNodes")
                } as @convention(c) (OpaquePointer?, Table.NewHandle, Table.Size) -> Int32),
            "cuGraphUpload": entry({ _, _ in Fake.answer("cuGraphUpload") } as Table.OnTwo),
            "cuGraphLaunch": entry({ _, _ in Fake.answer("cuGraphLaunch") } as Table.OnTwo),
            "cuGraphDestroy": entry({ _ in Fake.destroy("cuGraphDestroy", "cuStreamEndCapture") } as Table.OnHandle),
            "cuGraphExecDestroy": entry(
                { _ in Fake.destroy("cuGraphExecDestroy", "cuGraphInstantiateWithFlags") } as Table.OnHandle),
            "cuEventCreate": entry({ handle, _ in Fake.make("cuEventCreate", handle) } as Table.MakeFlagged),
            "cuEventRecord": entry({ _, _ in Fake.answer("cuEventRecord") } as Table.OnTwo),
            "cuEventQuery": entry({ _ in Fake.answer("cuEventQuery") } as Table.OnHandle),
            "cuEventSynchronize": entry({ _ in Fake.answer("cuEventSynchronize") } as Table.OnHandle),
            "cuEventElapsedTime": entry(
                { time, _, _ in
                    time?.pointee = 1.5
                    return Fake.answer("cuEventElapsedTime")
                } as @convention(c) (UnsafeMutablePointer<Float>?, OpaquePointer?, OpaquePointer?) -> Int32),
            "cuEventDestroy_v2": entry({ _ in Fake.destroy("cuEventDestroy_v2", "cuEventCreate") } as Table.OnHandle),
            "cuModuleLoadDataEx": entry(
                { handle, _, _, _, values in
                    if let log = values?[0] { strcpy(log.assumingMemoryBound(to: CChar.self), Fake.state.jitLog) }
                    return Fake.make("cuModuleLoadDataEx", handle)
                }
                    as @convention(c) (
                        Table.NewHandle, UnsafeRawPointer?, UInt32, UnsafeMutablePointer<UInt32>?,
                        UnsafeMutablePointer<UnsafeMutableRawPointer?>?
                    ) -> Int32),
            "cuModuleUnload": entry({ _ in Fake.destroy("cuModuleUnload", "cuModuleLoadDataEx") } as Table.OnHandle),
            "cuModuleGetFunction": entry(
                { handle, _, _ in
                    handle?.pointee = OpaquePointer(bitPattern: 0x2000)
                    return Fake.answer("cuModuleGetFunction")
                } as @convention(c) (Table.NewHandle, OpaquePointer?, UnsafePointer<CChar>?) -> Int32),
            "cuFuncLoad": entry({ _ in Fake.answer("cuFuncLoad") } as Table.OnHandle),
            "cuFuncGetAttribute": entry(
                { target, attribute, _ in Fake.number("cuFuncGetAttribute", target, attribute == 0 ? 1024 : 0) }
                    as @convention(c) (Table.Number, Int32, OpaquePointer?) -> Int32),
            "cuFuncSetAttribute": entry(
                { _, _, _ in Fake.answer("cuFuncSetAttribute") }
                    as @convention(c) (OpaquePointer?, Int32, Int32) -> Int32),
            "cuFuncGetParamInfo": entry(
                { _, _, _, size in
                    size?.pointee = Fake.state.argumentBytes
                    return Fake.answer("cuFuncGetParamInfo")
                } as @convention(c) (OpaquePointer?, Int, Table.Size, Table.Size) -> Int32),
            "cuOccupancyMaxActiveBlocksPerMultiprocessor": entry(
                { target, _, threads, _ in
                    Fake.number("cuOccupancyMaxActiveBlocksPerMultiprocessor", target, 2048 / threads)
                }
                    as @convention(c) (Table.Number, OpaquePointer?, Int32, Int) -> Int32),
            "cuOccupancyMaxActiveClusters": entry(
                { target, _, _ in Fake.number("cuOccupancyMaxActiveClusters", target, 33) }
                    as @convention(c) (Table.Number, OpaquePointer?, UnsafePointer<crumb_launch_configuration>?) ->
                    Int32),
            "cuLaunchKernelEx": entry(
                { configuration, _, parameters, _ in
                    if let configuration, let parameters { Fake.note(configuration.pointee, parameters[0]) }
                    return Fake.answer("cuLaunchKernelEx")
                }
                    as @convention(c) (
                        UnsafePointer<crumb_launch_configuration>?, OpaquePointer?,
                        UnsafeMutablePointer<UnsafeMutableRawPointer?>?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
                    ) -> Int32),
        ]
    }
}
