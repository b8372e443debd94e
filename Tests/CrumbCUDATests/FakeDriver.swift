import CrumbCUDA
import CrumbCUDATypes
import Glibc
import Synchronization

/// Plays the driver: a card whose memory is the host's, whose kernels do nothing, and whose calls fail when told to.
///
/// C functions carry no state, so there is one fake for the process; its tests run one after another.
enum FakeDriver {
    /// What the fake was asked to be, and what it saw.
    struct State: Sendable {
        var version: Int32 = 13000
        var deviceCount: Int32 = 1
        var capability: (Int32, Int32) = (9, 0)
        var totalBytes = 80 << 30
        var freeBytes = 60 << 30
        var argumentBytes = 24
        /// Codes that functions answer instead of 0.
        var codes: [String: Int32] = [:]
        /// Functions that the library lacks.
        var missing: Set<String> = []
        var calls: [String] = []
        /// Owned things that are alive, by the function that makes them.
        var alive: [String: Int] = [:]
        var launches: [Launch] = []
        var jitLog = ""

        func count(_ call: String) -> Int { calls.count { $0 == call } }
    }

    struct Launch: Sendable, Equatable {
        var grid: [UInt32]
        var block: [UInt32]
        var sharedBytes: UInt32
        var attributes: [UInt32: [UInt32]]
        var arguments: [UInt8]
    }

    private static let shared = Mutex(State())

    static var state: State { shared.withLock { $0 } }

    static func change(_ body: (inout State) -> Void) { shared.withLock { body(&$0) } }

    /// A driver of a fresh fake.
    static func driver(_ configure: (inout State) -> Void = { _ in }) throws(CUDAError) -> Driver {
        change { state in
            state = State()
            configure(&state)
        }
        return try Driver { name in state.missing.contains(name) ? nil : functions[name] }
    }

    /// Its only card.
    static func device(_ configure: (inout State) -> Void = { _ in }) throws(CUDAError) -> Device {
        try Device(driver: try driver(configure))
    }

    /// Notes a call and gives the code that it answers.
    static func answer(_ name: String) -> Int32 {
        shared.withLock { state in
            state.calls.append(name)
            return state.codes[name] ?? 0
        }
    }

    /// A call that makes something, a nonzero number as its handle.
    static func make(_ name: String, _ handle: DriverTable.NewHandle) -> Int32 {
        let code = answer(name)
        guard code == 0 else { return code }
        change { $0.alive[name, default: 0] += 1 }
        handle?.pointee = OpaquePointer(bitPattern: 0x1000)
        return 0
    }

    /// A call that destroys what `maker` made.
    static func destroy(_ name: String, _ maker: String) -> Int32 {
        let code = answer(name)
        change { $0.alive[maker, default: 0] -= 1 }
        return code
    }

    /// A copy between two addresses of the host, which the card's are too; not made when the call is told to fail.
    static func copy(_ name: String, from source: UInt, to target: UInt, _ bytes: Int) -> Int32 {
        let code = answer(name)
        if code == 0, let source = UnsafeRawPointer(bitPattern: source),
            let target = UnsafeMutableRawPointer(bitPattern: target)
        {
            memcpy(target, source, bytes)
        }
        return code
    }

    /// The code of a call that fills in one number.
    static func number(_ name: String, _ target: DriverTable.Number, _ value: Int32) -> Int32 {
        target?.pointee = value
        return answer(name)
    }

    static func note(_ configuration: crumb_launch_configuration, _ arguments: UnsafeMutableRawPointer?) {
        var attributes: [UInt32: [UInt32]] = [:]
        for attribute in UnsafeBufferPointer(
            start: configuration.attributes, count: Int(configuration.attribute_count))
        {
            let value = attribute.value.cluster
            attributes[attribute.identifier] = [value.0, value.1, value.2]
        }
        let bytes = UnsafeRawBufferPointer(start: arguments, count: arguments == nil ? 0 : state.argumentBytes)
        let (grid, block) = (configuration.grid, configuration.block)
        let launch = Launch(
            grid: [grid.0, grid.1, grid.2], block: [block.0, block.1, block.2],
            sharedBytes: configuration.shared_bytes, attributes: attributes, arguments: Array(bytes))
        change { $0.launches.append(launch) }
    }
}
