import CrumbCUDA
import CrumbCUDATypes
import Glibc

/// Plays the driver with a card whose memory is the host's and whose kernels are loops on the CPU, so that a whole decoder
/// can be run and compared without a GPU.
///
/// New memory is full of NaN. C functions carry no state, so there is one card for the process, and its tests run one
/// after another.
enum EmulatedCard {
    /// Blocks of a launch along x, y, z, and its one argument struct.
    struct Launch {
        let kernel: Int
        let grid: (x: Int, y: Int, z: Int)
        let arguments: [UInt8]
        let sharedBytes: Int
        let threads: Int

        func load<Arguments>(_ type: Arguments.Type = Arguments.self) -> Arguments {
            arguments.withUnsafeBytes { $0.loadUnaligned(as: Arguments.self) }
        }
    }

    struct Emulation {
        let name: String
        let argumentBytes: Int
        let run: (Launch) -> Void
    }

    struct State {
        var capability: (Int32, Int32) = (9, 0)
        var multiprocessors: Int32 = 5
        var freeBytes = 8 << 30
        var l2Bytes: Int32 = 1_000_000
        /// Between any two events.
        var milliseconds: Float = 0
        /// Bytes of each piece of memory that is alive, device and pinned.
        var alive: [UInt: Int] = [:]
        /// Launches by kernel.
        var launches: [String: Int] = [:]
        /// Launches of packed_product by the bytes that a block may have under way.
        var copyWindows: [Int: Int] = [:]
        /// What is being recorded, and what was.
        var recording: [() -> Void]?
        var graphs: [UInt: [() -> Void]] = [:]
        var nextHandle: UInt = 0x1000
        /// A kernel that does nothing when it is launched.
        var broken: String?
        var bytesRead = 0
    }

    nonisolated(unsafe) static var state = State()
    nonisolated(unsafe) static let emulations: [Emulation] = elementwise + products + attention + choices + random

    /// The only card of a fresh driver.
    static func device(_ configure: (inout State) -> Void = { _ in }) throws -> Device {
        state = State()
        unpacked = [:]
        configure(&state)
        let trivial: @convention(c) () -> Int32 = { 0 }
        let functions = functions
        return try Device(
            driver: Driver { functions[$0] ?? unsafeBitCast(trivial, to: UnsafeMutableRawPointer.self) })
    }

    /// Its kernels, without those whose names `leavingOut` accepts.
    static func library(on device: Device, leavingOut: (String) -> Bool = { _ in false }) throws -> KernelLibrary {
        let names = emulations.map(\.name).filter { !leavingOut($0) }
        let (major, minor) = state.capability
        let index =
            "crumb-kernels 1\nimage all sm_\(major)\(minor)\(major == 9 ? "a" : "") 0 64 \(names.joined(separator: ","))\nend\n"
        let head = Array(index.utf8) + [UInt8](repeating: UInt8(ascii: "\n"), count: (64 - index.utf8.count % 64) % 64)
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: head.count + 64, alignment: 64)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        bytes.copyBytes(from: head)
        return try KernelLibrary(KernelImages(UnsafeRawBufferPointer(bytes)), on: device)
    }

    /// Does something now, or in every launch of the graph that is being recorded.
    static func perform(_ work: @escaping () -> Void) {
        if state.recording != nil { state.recording?.append(work) } else { work() }
    }

    static func run(_ launch: Launch) {
        state.launches[emulations[launch.kernel].name, default: 0] += 1
        if emulations[launch.kernel].name != state.broken { emulations[launch.kernel].run(launch) }
    }

    static func handle() -> OpaquePointer? {
        state.nextHandle += 1
        return OpaquePointer(bitPattern: state.nextHandle)
    }

    private static func allocate(_ bytes: Int) -> UInt {
        guard let memory = malloc(bytes) else { return 0 }
        memset(memory, 0xFF, bytes)
        state.alive[UInt(bitPattern: memory)] = bytes
        state.freeBytes -= bytes
        return UInt(bitPattern: memory)
    }

    private static func release(_ address: UInt) -> Int32 {
        guard let bytes = state.alive.removeValue(forKey: address) else { return 1 }
        state.freeBytes += bytes
        // Other weights may come to lie there.
        unpacked = unpacked.filter { !(address..<address + UInt(bytes)).contains(UInt($0.key)) }
        free(UnsafeMutableRawPointer(bitPattern: address))
        return 0
    }

    private static func entry<Function>(_ function: Function) -> UnsafeMutableRawPointer {
        unsafeBitCast(function, to: UnsafeMutableRawPointer.self)
    }

    private typealias Table = DriverTable
    private typealias Number = @convention(c) (Table.Number) -> Int32
    private typealias Make = @convention(c) (Table.NewHandle, UInt32) -> Int32

    private static var functions: [String: UnsafeMutableRawPointer] {
        let make: Make = { target, _ in
            target?.pointee = EmulatedCard.handle()
            return 0
        }
        let copy: @convention(c) (UInt64, UInt64, Int, OpaquePointer?) -> Int32 = { target, source, bytes, _ in
            guard let target = UnsafeMutableRawPointer(bitPattern: UInt(target)),
                let source = UnsafeRawPointer(bitPattern: UInt(source))
            else { return 1 }
            memcpy(target, source, bytes)
            return 0
        }
        return [
            "cuDriverGetVersion": entry(
                {
                    $0?.pointee = 13000; return 0
                } as Number),
            "cuDeviceGetCount": entry(
                {
                    $0?.pointee = 1; return 0
                } as Number),
            "cuDeviceGetName": entry(
                { text, length, _ in
                    if let text { strncpy(text, "Emulated", Int(length)) }
                    return 0
                } as Table.NameOfDevice),
            "cuDeviceGetPCIBusId": entry(
                { text, _, _ in
                    text?.pointee = 0; return 0
                } as Table.NameOfDevice),
            "cuDeviceGetAttribute": entry(
                { target, attribute, _ in
                    let capability = EmulatedCard.state.capability
                    let values: [Int32: Int32] = [
                        16: EmulatedCard.state.multiprocessors, 38: EmulatedCard.state.l2Bytes, 75: capability.0,
                        76: capability.1, 97: 232_448,
                    ]
                    target?.pointee = values[attribute] ?? 1_000_000
                    return 0
                } as @convention(c) (Table.Number, Int32, Int32) -> Int32),
            "cuDevicePrimaryCtxRetain": entry(
                { target, _ in
                    target?.pointee = EmulatedCard.handle()
                    return 0
                } as @convention(c) (Table.NewHandle, Int32) -> Int32),
            "cuMemGetInfo_v2": entry(
                { free, total in
                    free?.pointee = EmulatedCard.state.freeBytes
                    total?.pointee = 8 << 30
                    return 0
                } as @convention(c) (Table.Size, Table.Size) -> Int32),
            "cuMemAlloc_v2": entry(
                { address, bytes in
                    guard bytes <= EmulatedCard.state.freeBytes else { return 2 }
                    address?.pointee = UInt64(EmulatedCard.allocate(bytes))
                    return 0
                } as @convention(c) (UnsafeMutablePointer<UInt64>?, Int) -> Int32),
            "cuMemFree_v2": entry({ EmulatedCard.release(UInt($0)) } as @convention(c) (UInt64) -> Int32),
            "cuMemHostAlloc": entry(
                { target, bytes, _ in
                    target?.pointee = UnsafeMutableRawPointer(bitPattern: EmulatedCard.allocate(bytes))
                    return 0
                } as @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>?, Int, UInt32) -> Int32),
            "cuMemFreeHost": entry(
                { EmulatedCard.release(UInt(bitPattern: $0)) } as @convention(c) (Table.Bytes) -> Int32),
            "cuMemcpyHtoDAsync_v2": entry(copy),
            "cuMemcpyDtoHAsync_v2": entry(copy),
            "cuMemcpyDtoDAsync_v2": entry(copy),
            "cuMemsetD8Async": entry(
                { target, byte, bytes, _ in
                    guard let target = UnsafeMutableRawPointer(bitPattern: UInt(target)) else { return 1 }
                    EmulatedCard.perform { memset(target, Int32(byte), bytes) }
                    return 0
                } as @convention(c) (UInt64, UInt8, Int, OpaquePointer?) -> Int32),
            "cuEventElapsedTime": entry(
                { target, _, _ in
                    target?.pointee = EmulatedCard.state.milliseconds
                    return 0
                } as @convention(c) (UnsafeMutablePointer<Float>?, OpaquePointer?, OpaquePointer?) -> Int32),
            "cuStreamCreate": entry(make),
            "cuEventCreate": entry(make),
            "cuStreamBeginCapture_v2": entry(
                { _, _ in
                    EmulatedCard.state.recording = []
                    return 0
                } as @convention(c) (OpaquePointer?, UInt32) -> Int32),
            "cuStreamEndCapture": entry(
                { _, graph in
                    let handle = EmulatedCard.handle()
                    EmulatedCard.state.graphs[UInt(bitPattern: handle)] = EmulatedCard.state.recording ?? []
                    EmulatedCard.state.recording = nil
                    graph?.pointee = handle
                    return 0
                } as @convention(c) (OpaquePointer?, Table.NewHandle) -> Int32),
            "cuGraphInstantiateWithFlags": entry(
                { target, graph, _ in
                    target?.pointee = graph
                    return 0
                } as @convention(c) (Table.NewHandle, OpaquePointer?, UInt64) -> Int32),
            "cuGraphLaunch": entry(
                { graph, _ in
                    for work in EmulatedCard.state.graphs[UInt(bitPattern: graph)] ?? [] { work() }
                    return 0
                } as Table.OnTwo),
            "cuModuleLoadDataEx": entry(
                { target, _, _, _, _ in
                    target?.pointee = EmulatedCard.handle()
                    return 0
                }
                    as @convention(c) (
                        Table.NewHandle, UnsafeRawPointer?, UInt32, UnsafeMutablePointer<UInt32>?,
                        UnsafeMutablePointer<UnsafeMutableRawPointer?>?
                    ) -> Int32),
            "cuModuleGetFunction": entry(
                { target, _, name in
                    guard let name,
                        let index = EmulatedCard.emulations.firstIndex(where: { $0.name == String(cString: name) })
                    else { return 500 }
                    target?.pointee = OpaquePointer(bitPattern: index + 1)
                    return 0
                } as @convention(c) (Table.NewHandle, OpaquePointer?, UnsafePointer<CChar>?) -> Int32),
            "cuFuncGetAttribute": entry(
                { target, attribute, _ in
                    target?.pointee = attribute == 0 ? 1024 : 0
                    return 0
                } as @convention(c) (Table.Number, Int32, OpaquePointer?) -> Int32),
            "cuFuncGetParamInfo": entry(
                { function, _, _, size in
                    size?.pointee = EmulatedCard.emulations[Int(bitPattern: function) - 1].argumentBytes
                    return 0
                } as @convention(c) (OpaquePointer?, Int, Table.Size, Table.Size) -> Int32),
            "cuLaunchKernelEx": entry(
                { configuration, function, parameters, _ in
                    guard let launch = configuration?.pointee, let arguments = parameters?[0] else { return 1 }
                    let kernel = Int(bitPattern: function) - 1
                    let bytes = UnsafeRawBufferPointer(
                        start: arguments, count: EmulatedCard.emulations[kernel].argumentBytes)
                    let noted = Launch(
                        kernel: kernel, grid: (Int(launch.grid.0), Int(launch.grid.1), Int(launch.grid.2)),
                        arguments: Array(bytes), sharedBytes: Int(launch.shared_bytes), threads: Int(launch.block.0))
                    EmulatedCard.perform { EmulatedCard.run(noted) }
                    return 0
                }
                    as @convention(c) (
                        UnsafePointer<crumb_launch_configuration>?, OpaquePointer?,
                        UnsafeMutablePointer<UnsafeMutableRawPointer?>?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
                    ) -> Int32),
        ]
    }
}

/// Device memory as the kernels' loops see it.
struct DeviceNumbers<Number> {
    private let base: UnsafeMutablePointer<Number>

    init(_ address: UInt64, _ type: Number.Type = Number.self) {
        guard let pointer = UnsafeMutablePointer<Number>(bitPattern: UInt(address)) else {
            preconditionFailure("a kernel was given no address")
        }
        base = pointer
    }

    subscript(index: Int) -> Number {
        get { base[index] }
        nonmutating set { base[index] = newValue }
    }
}
