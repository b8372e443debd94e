/// Blocks of a grid, threads of a block or blocks of a cluster along x, y and z.
package struct LaunchExtent: Sendable, Equatable, ExpressibleByIntegerLiteral, CustomStringConvertible {
    package let x: Int
    package let y: Int
    package let z: Int

    package init(_ x: Int, _ y: Int = 1, _ z: Int = 1) {
        self.x = x
        self.y = y
        self.z = z
    }

    package init(integerLiteral value: Int) { self.init(value) }

    package var count: Int { x * y * z }

    package var description: String { "\(x)x\(y)x\(z)" }
}

/// A function that runs on a card. It keeps its module.
package struct Kernel: @unchecked Sendable {  // the driver lets any thread launch a function
    package let name: String
    package let module: Module
    /// Bytes of the argument struct.
    package let argumentBytes: Int
    /// Registers of a thread, and local memory that spills and stack frames take.
    package let registers: Int
    package let localBytes: Int
    /// Shared memory of a block that the kernel declares itself.
    package let staticSharedBytes: Int
    /// The most threads a block may have with these registers.
    package let maxThreads: Int
    let function: DriverTable.Handle

    init(_ name: String, in module: Module) throws(CUDAError) {
        let device = module.device
        let handle = try device.make("finding kernel \(name)") { $0.moduleGetFunction($1, module.handle, name) }
        // The driver may load a function only when it is first launched, which must not happen while a graph is
        // recorded.
        try device.call("loading kernel \(name)") { $0.funcLoad(handle) }
        func attribute(_ attribute: FunctionAttribute) throws(CUDAError) -> Int {
            var value: Int32 = 0
            try device.call("asking about kernel \(name)") { $0.funcGetAttribute(&value, attribute.rawValue, handle) }
            return Int(value)
        }
        var offset = 0
        var size = 0
        try device.call("asking about the arguments of kernel \(name)") {
            $0.funcGetParamInfo(handle, 0, &offset, &size)
        }
        self.name = name
        self.module = module
        function = handle
        argumentBytes = size
        registers = try attribute(.registers)
        localBytes = try attribute(.localBytes)
        staticSharedBytes = try attribute(.staticSharedBytes)
        maxThreads = try attribute(.maxThreadsPerBlock)
    }

    package var device: Device { module.device }

    /// Lets launches ask for up to `bytes` of dynamic shared memory; without this 48 KiB less the static is the limit.
    package func allowSharedMemory(bytes: Int) throws(CUDAError) {
        let limit = device.info.sharedBytesPerBlock - staticSharedBytes
        guard bytes <= limit else {
            throw CUDAError(
                .badLaunch,
                "kernel \(name) wants \(bytes) bytes of shared memory, and a block on \(device.label) has \(limit) "
                    + "left; this is a mistake in Crumb, or a card smaller than it was made for")
        }
        try device.call("raising the shared memory of kernel \(name) to \(bytes) bytes") {
            $0.funcSetAttribute(function, FunctionAttribute.maxDynamicSharedBytes.rawValue, Int32(bytes))
        }
    }

    /// Lets clusters have more than 8 blocks, up to 16 where the card has room.
    package func allowLargeClusters() throws(CUDAError) {
        try device.call("allowing large clusters for kernel \(name)") {
            $0.funcSetAttribute(function, FunctionAttribute.nonPortableClusterSize.rawValue, 1)
        }
    }

    /// How many blocks of this size run on a multiprocessor at the same time.
    package func blocksPerMultiprocessor(block: LaunchExtent, sharedBytes: Int = 0) throws(CUDAError) -> Int {
        var blocks: Int32 = 0
        try device.call("asking how many blocks of kernel \(name) fit") {
            $0.occupancyMaxActiveBlocks(&blocks, function, Int32(block.count), sharedBytes)
        }
        return Int(blocks)
    }
}
