import CrumbThreads
import Synchronization

/// Raw scratch memory that grows when more is asked for, aligned to 64 bytes. Its contents are unspecified.
final class ScratchMemory {
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 64)

    deinit { memory.deallocate() }

    /// At least `byteCount` bytes. Pointers from earlier calls are invalid where the memory had to grow.
    func bytes(_ byteCount: Int) -> UnsafeMutableRawPointer {
        if byteCount > memory.count {
            memory.deallocate()
            memory = .allocate(byteCount: byteCount, alignment: 64)
        }
        // Never empty.
        return memory.baseAddress.unsafelyUnwrapped
    }
}

/// The threads of a backend, each with scratch memory of its own.
final class Workers {
    let pool: ThreadPool
    private let scratch: [ScratchMemory]
    private let nextJob = Atomic<Int>(0)

    init(_ pool: ThreadPool) {
        self.pool = pool
        scratch = (0..<pool.threadCount).map { _ in ScratchMemory() }
    }

    /// Threads, the caller included.
    var count: Int { pool.threadCount }

    /// Calls `body(job)` once for each job, spread over the threads.
    func run(jobs: Int, _ body: (Int) -> Void) { pool.run(count: jobs, body) }

    /// Calls `body(job, scratch)` once for each job, spread over the threads; two jobs that run at the same time have
    /// different scratch memory of `scratchBytes`.
    func run(jobs: Int, scratchBytes: Int, _ body: (Int, UnsafeMutableRawPointer) -> Void) {
        for memory in scratch { _ = memory.bytes(scratchBytes) }
        nextJob.store(0, ordering: .relaxed)
        // Each index is one worker that takes jobs until none is left; the pool orders the counter's first read.
        pool.run(count: min(count, jobs)) { worker in
            let memory = scratch[worker].bytes(scratchBytes)
            while true {
                let job = nextJob.wrappingAdd(1, ordering: .relaxed).oldValue
                if job >= jobs { return }
                body(job, memory)
            }
        }
    }
}

/// `count` rounded up to whole cache lines.
func roundedToLine(_ count: Int) -> Int { (count + 63) & ~63 }
