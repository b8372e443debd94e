/// An owner of a mark in a stream: others wait for it, or the time between two is taken.
package struct Event: ~Copyable, @unchecked Sendable {  // the driver lets any thread use an event
    package let device: Device
    let handle: DriverTable.Handle

    /// - Parameter isTimed: takes the time, which makes recording dearer; only such events can be subtracted.
    package init(on device: Device, isTimed: Bool = false) throws(CUDAError) {
        handle = try device.make("making an event") { $0.eventCreate($1, isTimed ? 0 : DriverFlag.eventDisableTiming) }
        self.device = device
    }

    deinit { device.release { $0.eventDestroy(handle) } }

    /// Happens when the stream has done all that is in it now.
    package func record(in stream: borrowing Stream) throws(CUDAError) {
        let stream = stream.handle
        try device.call("recording an event") { $0.eventRecord(handle, stream) }
    }

    /// Whether what was recorded has happened; does not wait.
    package func hasHappened() throws(CUDAError) -> Bool {
        var isPending = false
        try device.call("asking for an event") { table in
            let code = table.eventQuery(handle)
            isPending = code == DriverCode.notReady
            return isPending ? DriverCode.success : code
        }
        return !isPending
    }

    /// Waits until what was recorded has happened.
    package func synchronize() throws(CUDAError) {
        try device.call("waiting for an event") { $0.eventSynchronize(handle) }
    }

    /// Milliseconds from `start` to this event, both recorded with their time and happened; resolution 0.5 us.
    package func milliseconds(since start: borrowing Event) throws(CUDAError) -> Float {
        var milliseconds: Float = 0
        let start = start.handle
        try device.call("taking the time between two events") { $0.eventElapsedTime(&milliseconds, start, handle) }
        return milliseconds
    }
}
