/// An owner of recorded work that is launched as one: the same kernels, addresses and arguments each time.
///
/// What it reads and writes must outlive its last launch; it keeps nothing but its device.
package struct Graph: ~Copyable, @unchecked Sendable {  // launched through streams, which any thread may use
    package let device: Device
    /// Kernels, copies and fills in the graph.
    package let nodeCount: Int
    private let handle: DriverTable.Handle

    fileprivate init(instantiating graph: DriverTable.Handle, on device: Device) throws(CUDAError) {
        var count = 0
        try device.call("counting a graph's nodes") { $0.graphGetNodes(graph, nil, &count) }
        handle = try device.make("making a graph of \(count) nodes") { $0.graphInstantiate($1, graph, 0) }
        self.device = device
        nodeCount = count
    }

    deinit { device.release { $0.graphExecDestroy(handle) } }

    /// Puts the graph on the card ahead of its first launch, which is then as quick as the others.
    package func upload(in stream: borrowing Stream) throws(CUDAError) {
        let stream = stream.handle
        try device.call("preparing a graph") { $0.graphUpload(handle, stream) }
    }

    /// Runs the graph after what is in the stream, and before what follows.
    package func launch(in stream: borrowing Stream) throws(CUDAError) {
        let stream = stream.handle
        try device.call("launching a graph of \(nodeCount) nodes") { $0.graphLaunch(handle, stream) }
    }
}

extension Stream {
    /// Records what `work` puts into this stream instead of running it.
    ///
    /// `work` may launch, copy from and to pinned memory and the card, and fill; it must not allocate, free or wait.
    package func capture(_ work: () throws(CUDAError) -> Void) throws(CUDAError) -> Graph {
        try device.call("starting to record a graph") {
            $0.streamBeginCapture(handle, DriverFlag.captureThreadLocal)
        }
        do {
            try work()
        } catch {
            // The first error counts; what was recorded so far goes.
            var graph: DriverTable.Handle?
            _ = device.run { $0.streamEndCapture(handle, &graph) }
            if let graph { device.release { $0.graphDestroy(graph) } }
            throw error
        }
        let graph = try device.make("recording a graph") { $0.streamEndCapture(handle, $1) }
        defer { device.release { $0.graphDestroy(graph) } }
        return try Graph(instantiating: graph, on: device)
    }
}
