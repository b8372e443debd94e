import Glibc
import Synchronization

/// A fixed set of threads that run short parallel loops with little delay between them.
///
/// A decode step has hundreds of parallel sections of some microseconds each, so waiting threads spin for a short while
/// before they sleep. Indices are handed out one by one; results must not depend on which thread runs an index, so that
/// they are the same bits whatever the number of threads. One caller at a time: `run` is not reentrant.
package final class ThreadPool: @unchecked Sendable {  // shared state is atomic or written between two barriers
    /// Threads that work on a loop, the caller included.
    package var threadCount: Int { threads.count + 1 }

    private typealias Body = (Int) -> Void

    /// Turns of the waiting loop before a thread sleeps: some 50 us, longer than the serial part of a decode layer.
    private static let spins = 20_000

    /// The loop's number in the upper bits, then whether it takes no more threads, then how many are in it.
    ///
    /// The caller waits only for threads that have joined a loop: one that the system holds up delays nothing.
    private let loop = Atomic<UInt>(ThreadPool.closed)
    private static let loopStep: UInt = 1 << 17
    private static let closed: UInt = 1 << 16

    private let nextIndex = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let sleepers = Atomic<Int>(0)
    private var count = 0
    private var body: Body?
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let wake: UnsafeMutablePointer<pthread_cond_t>
    private var threads: [pthread_t] = []

    /// Processors this process may run on, at most 256. `sysconf` would count those that a container may not use.
    package static var hardwareThreads: Int {
        let online = min(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1), 256)
        guard let file = fopen("/proc/self/status", "r") else { return online }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.hasPrefix("Cpus_allowed:") else { continue }
            let bits = text.dropFirst(13).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
            return bits > 0 ? min(bits, 256) : online
        }
        return online
    }

    /// A pool of up to `threadCount` threads (1 ... 256), one of them the caller; fewer where the system refuses more.
    package init(threadCount: Int = ThreadPool.hardwareThreads) {
        mutex = .allocate(capacity: 1)
        wake = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
        // The threads must not keep the pool alive, or its deinit would never stop them.
        let pool = Unmanaged.passUnretained(self).toOpaque()
        for _ in 1..<min(max(threadCount, 1), 256) {
            var thread = pthread_t()
            let refused = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<ThreadPool>.fromOpaque(argument)._withUnsafeGuaranteedRef { $0.serve() }
                    return nil
                }, pool)
            if refused != 0 { break }
            threads.append(thread)
        }
    }

    deinit {
        stopping.store(true, ordering: .sequentiallyConsistent)
        open()
        for thread in threads { pthread_join(thread, nil) }
        pthread_cond_destroy(wake)
        pthread_mutex_destroy(mutex)
        wake.deallocate()
        mutex.deallocate()
    }

    /// Calls `body(0) ... body(count - 1)` once each, spread over the threads, and returns when all are done.
    package func run(count: Int, _ body: (Int) -> Void) {
        guard threads.count > 0, count > 1 else {
            for index in 0..<max(count, 0) { body(index) }
            return
        }
        withoutActuallyEscaping(body) { escapable in
            // No thread reads these before the loop opens or after it was left by all.
            self.body = escapable
            self.count = count
            nextIndex.store(0, ordering: .relaxed)
            open()
            takeIndices()
            loop.bitwiseOr(Self.closed, ordering: .acquiringAndReleasing)
            var turns = 0
            while loop.load(ordering: .acquiring) & (Self.closed - 1) != 0 {
                turns &+= 1
                if turns > Self.spins { sched_yield() }
            }
            self.body = nil
        }
    }

    /// Starts the next loop and wakes whoever sleeps.
    private func open() {
        let now = loop.load(ordering: .relaxed)
        loop.store((now & ~(Self.loopStep - 1)) &+ Self.loopStep, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
            pthread_mutex_lock(mutex)
            pthread_cond_broadcast(wake)
            pthread_mutex_unlock(mutex)
        }
    }

    private func takeIndices() {
        guard let body else { return }
        while true {
            let index = nextIndex.wrappingAdd(1, ordering: .relaxed).oldValue
            if index >= count { return }
            body(index)
        }
    }

    private func serve() {
        var seen: UInt = 0
        while true {
            seen = waitForLoop(after: seen)
            if stopping.load(ordering: .sequentiallyConsistent) { return }
            guard join(seen) else { continue }
            takeIndices()
            loop.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        }
    }

    /// Enters loop `number`, unless it is closed or over.
    private func join(_ number: UInt) -> Bool {
        var now = loop.load(ordering: .acquiring)
        while now / Self.loopStep == number, now & Self.closed == 0 {
            let (exchanged, original) = loop.weakCompareExchange(
                expected: now, desired: now + 1, successOrdering: .acquiringAndReleasing, failureOrdering: .acquiring)
            if exchanged { return true }
            now = original
        }
        return false
    }

    /// The number of a loop that is not `seen`.
    private func waitForLoop(after seen: UInt) -> UInt {
        for _ in 0..<Self.spins {
            let now = loop.load(ordering: .sequentiallyConsistent) / Self.loopStep
            if now != seen { return now }
        }
        pthread_mutex_lock(mutex)
        sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
        while loop.load(ordering: .sequentiallyConsistent) / Self.loopStep == seen { pthread_cond_wait(wake, mutex) }
        sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        pthread_mutex_unlock(mutex)
        return loop.load(ordering: .sequentiallyConsistent) / Self.loopStep
    }
}

extension ThreadPool {
    /// The results of `body(0) ... body(count - 1)`, in order.
    ///
    /// - Throws: the error of the lowest index that has one, once all are done.
    package func map<Value, Failure>(
        count: Int, _ body: (Int) throws(Failure) -> Value
    ) throws(Failure) -> [Value] {
        let results = [Result<Value, Failure>](unsafeUninitializedCapacity: count) { results, initialized in
            let base = results.baseAddress
            run(count: count) { index in
                let result = Result { () throws(Failure) in try body(index) }
                base.map { ($0 + index).initialize(to: result) }
            }
            initialized = count
        }
        return try results.map { result throws(Failure) in try result.get() }
    }
}
