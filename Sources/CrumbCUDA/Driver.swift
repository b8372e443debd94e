/// NVIDIA's driver, found at run time and ready to be asked about its cards.
package struct Driver: Sendable {
    package let table: DriverTable
    /// The newest CUDA interface that the driver offers.
    package let version: DriverVersion
    /// How many cards the driver shows this process, at least one.
    package let deviceCount: Int

    private static let names = ["libcuda.so.1", "libcuda.so"]

    /// Loads the driver once for the process.
    ///
    /// - Throws: `CUDAError` when there is no driver, it is too old, or it shows no card.
    package static func load() throws(CUDAError) -> Driver { try loaded.get() }

    private static let loaded: Result<Driver, CUDAError> = .init { () throws(CUDAError) in
        guard let library = SharedLibrary(firstOf: names) else { throw .driverMissing(names) }
        return try Driver { library.address($0) }
    }

    /// A driver whose functions `address` finds by name.
    package init(_ address: @escaping (String) -> UnsafeMutableRawPointer?) throws(CUDAError) {
        var missing: [String] = []
        table = DriverTable(missing: &missing, address)
        // An old driver lacks functions too; its version is the better answer, so that is asked first.
        guard !missing.contains("cuDriverGetVersion") else { throw .driverIncomplete(missing) }
        var number: Int32 = 0
        let versionCode = table.driverGetVersion(&number)
        guard versionCode == DriverCode.success else {
            guard missing.isEmpty else { throw .driverIncomplete(missing) }
            throw .from(versionCode, "asking the NVIDIA driver for its version", table)
        }
        version = DriverVersion(number: number)
        guard version >= .minimum else { throw .driverTooOld(version) }
        guard missing.isEmpty else { throw .driverIncomplete(missing) }
        let code = table.initialize(0)
        guard code != DriverCode.noDevice else { throw .noDevice(code) }
        guard code == DriverCode.success else { throw .from(code, "starting the NVIDIA driver", table) }
        var count: Int32 = 0
        let countCode = table.deviceGetCount(&count)
        guard countCode == DriverCode.success else { throw .from(countCode, "counting the GPUs", table) }
        guard count > 0 else { throw .noDevice(countCode) }
        deviceCount = Int(count)
    }

    /// The driver's own file; nil where that is unknown.
    package var file: String? {
        SharedLibrary.file(of: unsafeBitCast(table.initialize, to: UnsafeRawPointer.self))
    }

    /// What there is to know about card `index`; needs no memory on it.
    package func info(of index: Int) throws(CUDAError) -> DeviceInfo {
        let number = try ordinal(of: index)
        func ask(_ call: () -> Int32) throws(CUDAError) {
            let code = call()
            guard code == DriverCode.success else { throw .from(code, "asking about cuda:\(index)", table) }
        }
        func attribute(_ attribute: DeviceAttribute) throws(CUDAError) -> Int {
            var value: Int32 = 0
            try ask { table.deviceGetAttribute(&value, attribute.rawValue, number) }
            return Int(value)
        }
        func text(_ function: DriverTable.NameOfDevice) throws(CUDAError) -> String {
            var characters = [CChar](repeating: 0, count: 128)
            // One zero more than the driver may overwrite.
            try ask { function(&characters, Int32(characters.count - 1), number) }
            return String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
        var totalBytes = 0
        try ask { table.deviceTotalMem(&totalBytes, number) }
        return DeviceInfo(
            index: index,
            name: try text(table.deviceGetName),
            busID: try text(table.deviceGetPCIBusId),
            driverVersion: version,
            capability: ComputeCapability(try attribute(.majorCapability), try attribute(.minorCapability)),
            multiprocessors: try attribute(.multiprocessors),
            totalBytes: totalBytes,
            l2Bytes: try attribute(.l2Bytes),
            sharedBytesPerBlock: try attribute(.sharedBytesPerBlockOptIn),
            sharedBytesPerMultiprocessor: try attribute(.sharedBytesPerMultiprocessor),
            clockMegahertz: try attribute(.clockKilohertz) / 1000,
            memoryClockMegahertz: try attribute(.memoryClockKilohertz) / 1000,
            memoryBusBits: try attribute(.memoryBusBits))
    }

    /// The driver's own number of card `index`.
    func ordinal(of index: Int) throws(CUDAError) -> Int32 {
        guard index >= 0, index < deviceCount else { throw .noSuchDevice(index, count: deviceCount) }
        var number: Int32 = 0
        let code = table.deviceGet(&number, Int32(index))
        guard code == DriverCode.success else { throw .from(code, "opening cuda:\(index)", table) }
        return number
    }
}
