/// NVIDIA's management library, found at run time: energy, power and clocks of the cards. Only measurements need it.
package struct NVML: Sendable {
    private typealias Handle = OpaquePointer
    private typealias Code = Int32
    private typealias Value32 = @convention(c) (Handle?, UnsafeMutablePointer<UInt32>?) -> Code

    /// nvmlClockType_t
    private enum Clock: Int32 {
        case multiprocessor = 1
        case memory = 2
    }

    /// NVIDIA's own release number, such as "580.95.05".
    package let driverRelease: String
    private let handleByBusID: @convention(c) (UnsafePointer<CChar>?, UnsafeMutablePointer<Handle?>?) -> Code
    private let energy: @convention(c) (Handle?, UnsafeMutablePointer<UInt64>?) -> Code
    private let power: Value32
    private let clock: @convention(c) (Handle?, Int32, UnsafeMutablePointer<UInt32>?) -> Code
    private let maxClock: @convention(c) (Handle?, Int32, UnsafeMutablePointer<UInt32>?) -> Code

    /// Loads and starts the library once for the process.
    ///
    /// - Throws: `CUDAError` that says why there is none; callers then leave out what it would have told.
    package static func load() throws(CUDAError) -> NVML { try loaded.get() }

    private static let loaded: Result<NVML, CUDAError> = .init { () throws(CUDAError) in
        guard let library = SharedLibrary(firstOf: ["libnvidia-ml.so.1"]) else {
            throw CUDAError(
                .library,
                "libnvidia-ml.so.1 cannot be loaded, so energy and clocks are unknown; it comes with the driver")
        }
        return try NVML { library.address($0) }
    }

    /// The library whose functions `address` finds by name.
    package init(_ address: @escaping (String) -> UnsafeMutableRawPointer?) throws(CUDAError) {
        var symbol = SymbolReader(address)
        let start: @convention(c) () -> Code = symbol("nvmlInit_v2")
        let release: @convention(c) (UnsafeMutablePointer<CChar>?, UInt32) -> Code = symbol(
            "nvmlSystemGetDriverVersion")
        handleByBusID = symbol("nvmlDeviceGetHandleByPciBusId_v2")
        energy = symbol("nvmlDeviceGetTotalEnergyConsumption")
        power = symbol("nvmlDeviceGetPowerUsage")
        clock = symbol("nvmlDeviceGetClockInfo")
        maxClock = symbol("nvmlDeviceGetMaxClockInfo")
        guard symbol.missing.isEmpty else {
            throw CUDAError(
                .library, "libnvidia-ml.so.1 lacks \(symbol.missing.joined(separator: ", ")); update the NVIDIA driver")
        }
        let code = start()
        guard code == 0 else {
            throw CUDAError(
                .library, code: code, "libnvidia-ml.so.1 refuses to start (\(code)), so energy and clocks are unknown")
        }
        var characters = [CChar](repeating: 0, count: 96)
        driverRelease =
            release(&characters, UInt32(characters.count - 1)) == 0
            ? String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) : "unknown"
    }

    /// The file that was loaded; nil where that is unknown.
    package var file: String? { SharedLibrary.file(of: unsafeBitCast(energy, to: UnsafeRawPointer.self)) }

    /// One card; every value is nil where the card does not tell.
    package struct Card: @unchecked Sendable {  // the library is safe to call from any thread
        private let library: NVML
        private let handle: OpaquePointer

        fileprivate init(_ library: NVML, _ handle: OpaquePointer) {
            self.library = library
            self.handle = handle
        }

        /// Millijoules that the card has taken since the driver was loaded; updated about every 20 to 100 ms.
        package var energyMillijoules: UInt64? {
            var value: UInt64 = 0
            return library.energy(handle, &value) == 0 ? value : nil
        }

        package var powerMilliwatts: Int? { read { library.power(handle, $0) } }
        /// Now, and the highest the card goes by itself.
        package var clockMegahertz: Int? { read { library.clock(handle, Clock.multiprocessor.rawValue, $0) } }
        package var maxClockMegahertz: Int? { read { library.maxClock(handle, Clock.multiprocessor.rawValue, $0) } }
        package var memoryClockMegahertz: Int? { read { library.clock(handle, Clock.memory.rawValue, $0) } }

        private func read(_ ask: (UnsafeMutablePointer<UInt32>) -> Int32) -> Int? {
            var value: UInt32 = 0
            return ask(&value) == 0 ? Int(value) : nil
        }
    }

    /// The card of a device; nil where the library does not show it, as in some containers.
    package func card(_ info: DeviceInfo) -> Card? {
        var handle: OpaquePointer?
        guard handleByBusID(info.busID, &handle) == 0, let handle else { return nil }
        return Card(self, handle)
    }
}
