import Synchronization

/// One card, held by its primary context, which cuBLAS and others in the process share.
///
/// Everything that lives on the card keeps its device, so the context goes after the last of them. Any thread may use
/// a device; each call makes the context current on its thread first.
package final class Device: @unchecked Sendable {  // the handle is only read; the two codes are atomic
    package let driver: Driver
    package let info: DeviceInfo
    private let ordinal: Int32
    private let context: DriverTable.Handle
    /// The code after which the card answers nothing any more; 0 while it works.
    private let failure = Atomic<Int32>(0)
    /// What went wrong while something was released, which cannot throw; the next call reports it.
    private let releaseFailure = Atomic<Int32>(0)

    /// Opens card `index`.
    ///
    /// - Throws: `CUDAError` when there is no such card or it takes no more work.
    package init(_ index: Int = 0, driver: Driver) throws(CUDAError) {
        self.driver = driver
        info = try driver.info(of: index)
        ordinal = try driver.ordinal(of: index)
        var handle: DriverTable.Handle?
        let code = driver.table.devicePrimaryCtxRetain(&handle, ordinal)
        guard code == DriverCode.success, let handle else {
            throw .from(code, "opening \(info.label)", driver.table)
        }
        context = handle
    }

    deinit { _ = driver.table.devicePrimaryCtxRelease(ordinal) }

    /// The card in messages: "cuda:0 (NVIDIA H200)".
    package var label: String { info.label }

    /// Runs one function of the driver on this card.
    ///
    /// - Parameter operation: what is being done, as in "launching rms_norm"; the card's name follows in messages.
    func call(_ operation: @autoclosure () -> String, _ body: (DriverTable) -> Int32) throws(CUDAError) {
        let broken = failure.load(ordering: .relaxed)
        guard broken == DriverCode.success else { throw error(broken, operation()) }
        if releaseFailure.load(ordering: .relaxed) != DriverCode.success {
            let code = releaseFailure.exchange(DriverCode.success, ordering: .relaxed)
            if code != DriverCode.success { throw error(code, "releasing something, before \(operation()),") }
        }
        let code = run(body)
        guard code == DriverCode.success else { throw error(code, operation()) }
    }

    /// Like `call`, for a function that makes something.
    func make(
        _ operation: @autoclosure () -> String, _ body: (DriverTable, DriverTable.NewHandle) -> Int32
    ) throws(CUDAError) -> DriverTable.Handle {
        var handle: DriverTable.Handle?
        try call(operation()) { body($0, &handle) }
        guard let handle else {
            throw CUDAError(.refused, "\(operation()) on \(label) gave nothing; run crumb doctor")
        }
        return handle
    }

    /// Like `call`, for a release that cannot throw.
    func release(_ body: (DriverTable) -> Int32) {
        let code = run(body)
        if code != DriverCode.success, failure.load(ordering: .relaxed) == DriverCode.success {
            releaseFailure.store(code, ordering: .relaxed)
        }
    }

    /// One function of the driver, its code left to the caller.
    func run(_ body: (DriverTable) -> Int32) -> Int32 {
        let bound = driver.table.ctxSetCurrent(context)
        let code = bound == DriverCode.success ? body(driver.table) : bound
        if DriverCode.isFault(code) || DriverCode.isLoss(code) {
            _ = failure.compareExchange(expected: DriverCode.success, desired: code, ordering: .relaxed)
        }
        return code
    }

    func error(_ code: Int32, _ operation: String) -> CUDAError {
        .from(code, "\(operation) on \(label)", driver.table)
    }
}

// MARK: memory

extension Device {
    /// Bytes of device memory that are free now, and all there are.
    package func memory() throws(CUDAError) -> (free: Int, total: Int) {
        var free = 0
        var total = 0
        try call("asking for the free memory") { $0.memGetInfo(&free, &total) }
        return (free, total)
    }

    /// Refuses before anything starts what cannot fit.
    ///
    /// - Parameter purpose: the subject of the sentence, such as "the model with a context of 4096".
    package func require(bytes: Int, for purpose: String) throws(CUDAError) {
        let (free, total) = try memory()
        guard bytes <= free else { throw .outOfMemory(purpose, needed: bytes, free: free, total: total, on: label) }
    }

    /// At least one byte of device memory, aligned to 256 bytes or more.
    func allocate(bytes: Int, for purpose: String) throws(CUDAError) -> DriverTable.Address {
        precondition(bytes >= 0, "\(purpose): \(bytes) bytes")
        var address: DriverTable.Address = 0
        var isFull = false
        try call("allocating \(ByteText.of(bytes)) for \(purpose)") { table in
            let code = table.memAlloc(&address, max(bytes, 1))
            isFull = code == DriverCode.outOfMemory
            return isFull ? DriverCode.success : code
        }
        guard isFull else { return address }
        let (free, total) = try memory()
        throw .outOfMemory(purpose, needed: bytes, free: free, total: total, on: label)
    }
}
