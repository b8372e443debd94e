import CrumbCUDATypes

extension Kernel {
    /// Puts one run of the kernel into a stream.
    ///
    /// - Parameters:
    ///   - sharedBytes: dynamic shared memory of a block; more than 48 KiB must have been allowed before.
    ///   - arguments: the kernel's one argument struct, copied before this returns.
    ///   - cluster: blocks that share a cluster, on Hopper and later; the grid is a multiple of it.
    ///   - programmatic: the kernel may start before the one ahead of it in the stream has ended, and waits by itself
    ///     (griddepcontrol.wait) before it touches what that one writes. Cards before Hopper run them one by one.
    package func launch<Arguments: BitwiseCopyable>(
        grid: LaunchExtent, block: LaunchExtent, sharedBytes: Int = 0, stream: borrowing Stream, arguments: Arguments,
        cluster: LaunchExtent? = nil, programmatic: Bool = false
    ) throws(CUDAError) {
        precondition(
            MemoryLayout<Arguments>.stride == argumentBytes,
            "kernel \(name) takes \(argumentBytes) bytes of arguments, not \(MemoryLayout<Arguments>.stride)")
        guard block.count <= maxThreads else {
            throw CUDAError(
                .badLaunch,
                "kernel \(name) was launched with \(block.count) threads a block on \(device.label), which runs "
                    + "\(maxThreads) at most with its \(registers) registers a thread; this is a mistake in Crumb")
        }
        let queue = stream.handle
        try device.call(
            "launching \(name) (grid \(grid), block \(block), \(sharedBytes) bytes of dynamic shared memory)"
        ) { table in
            withConfiguration(
                grid: grid, block: block, sharedBytes: sharedBytes, stream: queue, cluster: cluster,
                programmatic: programmatic
            ) { configuration in
                withUnsafePointer(to: arguments) { arguments in
                    var pointer: UnsafeMutableRawPointer? = UnsafeMutableRawPointer(mutating: arguments)
                    return table.launchKernelEx(configuration, function, &pointer, nil)
                }
            }
        }
    }

    /// How many clusters of this launch run on the card at the same time; 0 says that not even one fits.
    package func activeClusters(
        grid: LaunchExtent, block: LaunchExtent, sharedBytes: Int = 0, cluster: LaunchExtent
    ) throws(CUDAError) -> Int {
        var clusters: Int32 = 0
        try device.call("asking how many clusters of kernel \(name) fit") { table in
            withConfiguration(
                grid: grid, block: block, sharedBytes: sharedBytes, stream: nil, cluster: cluster, programmatic: false
            ) { table.occupancyMaxActiveClusters(&clusters, function, $0) }
        }
        return Int(clusters)
    }

    private func withConfiguration(
        grid: LaunchExtent, block: LaunchExtent, sharedBytes: Int, stream: DriverTable.Handle?, cluster: LaunchExtent?,
        programmatic: Bool, _ body: (UnsafePointer<crumb_launch_configuration>) -> Int32
    ) -> Int32 {
        withUnsafeTemporaryAllocation(of: crumb_launch_attribute.self, capacity: 2) { attributes in
            attributes.initialize(repeating: crumb_launch_attribute())
            var count = 0
            if let cluster {
                attributes[count].identifier = UInt32(CRUMB_LAUNCH_CLUSTER_DIMENSION)
                attributes[count].value.cluster = (UInt32(cluster.x), UInt32(cluster.y), UInt32(cluster.z))
                count += 1
            }
            // An image for older cards has no griddepcontrol.wait, whatever the card: it must not start early.
            if programmatic, module.target.capability.hasProgrammaticLaunch {
                attributes[count].identifier = UInt32(CRUMB_LAUNCH_PROGRAMMATIC_STREAM_SERIALIZATION)
                attributes[count].value.programmatic = 1
                count += 1
            }
            var configuration = crumb_launch_configuration(
                grid: (UInt32(grid.x), UInt32(grid.y), UInt32(grid.z)),
                block: (UInt32(block.x), UInt32(block.y), UInt32(block.z)), shared_bytes: UInt32(sharedBytes),
                stream: stream.map(UnsafeMutableRawPointer.init), attributes: attributes.baseAddress,
                attribute_count: UInt32(count))
            return body(&configuration)
        }
    }
}
