/// Numbers of cuda.h that Crumb uses, by their meaning.
enum DriverCode {
    // CUresult
    static let success: Int32 = 0
    static let outOfMemory: Int32 = 2
    static let noDevice: Int32 = 100
    static let noBinaryForGPU: Int32 = 209
    static let invalidPTX: Int32 = 218
    static let unsupportedPTXVersion: Int32 = 222
    static let notReady: Int32 = 600
    static let launchOutOfResources: Int32 = 701
    static let driverMismatch: Int32 = 803

    /// A kernel did what it must not: an illegal address, a trap, a misaligned access, a time-out, and their kin. The
    /// context answers nothing from then on.
    static func isFault(_ code: Int32) -> Bool {
        [700, 702, 710, 714, 715, 716, 717, 718, 719, 721].contains(code)
    }

    /// The card or the driver stopped answering: shut down, unavailable, memory or link errors that cannot be
    /// corrected, not ready, an error of another device, unknown.
    static func isLoss(_ code: Int32) -> Bool { [4, 46, 214, 220, 709, 802, 911, 999].contains(code) }
}

/// CUdevice_attribute
enum DeviceAttribute: Int32 {
    case clockKilohertz = 13
    case multiprocessors = 16
    case memoryClockKilohertz = 36
    case memoryBusBits = 37
    case l2Bytes = 38
    case majorCapability = 75
    case minorCapability = 76
    case sharedBytesPerMultiprocessor = 81
    case sharedBytesPerBlockOptIn = 97
}

/// CUfunction_attribute
enum FunctionAttribute: Int32 {
    case maxThreadsPerBlock = 0
    case staticSharedBytes = 1
    case localBytes = 3
    case registers = 4
    case binaryVersion = 6
    case maxDynamicSharedBytes = 8
    case nonPortableClusterSize = 14
}

/// Flags of streams, events, captures and the just-in-time compiler.
enum DriverFlag {
    static let streamNonBlocking: UInt32 = 1
    static let eventDisableTiming: UInt32 = 2
    /// Other threads may go on calling the driver while one captures.
    static let captureThreadLocal: UInt32 = 1
    static let errorLogBuffer: UInt32 = 5
    static let errorLogBytes: UInt32 = 6
}
