import Glibc
import Synchronization

/// What is going on when Ctrl-C comes: one of the three numbers below. A global, because a C function cannot capture.
private let state = Atomic<Int>(0)
private let idle = 0
private let answering = 1
private let stopping = 2

/// What Ctrl-C does. The handler only touches one atomic number and calls `write` and `_exit`, which is all that POSIX
/// allows at that moment.
enum Interrupts {
    /// From now on Ctrl-C ends the program with code 130 and these last words on standard error.
    ///
    /// Nothing is lost by that: files come into being under their names only when they are complete.
    static func exitOnInterrupt() {
        install { _ in
            let words: StaticString = "\ninterrupted; the same command goes on from here\n"
            _ = write(STDERR_FILENO, words.utf8Start, words.utf8CodeUnitCount)
            _exit(ExitStatus.interrupted)
        }
    }

    /// From now on Ctrl-C ends an answer, or the program where there is none.
    static func stopAnswersOnInterrupt() {
        install { _ in
            let (answered, _) = state.compareExchange(
                expected: answering, desired: stopping, ordering: .sequentiallyConsistent)
            if !answered { _exit(ExitStatus.interrupted) }
        }
    }

    /// Runs `body` as an answer that Ctrl-C stops; `body` asks its argument whether that happened.
    static func answer<T>(_ body: (_ isStopped: () -> Bool) throws -> T) rethrows -> T {
        state.store(answering, ordering: .sequentiallyConsistent)
        defer { state.store(idle, ordering: .sequentiallyConsistent) }
        return try body { state.load(ordering: .relaxed) == stopping }
    }

    private static func install(_ handler: @escaping @convention(c) (Int32) -> Void) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = handler
        // Without SA_RESTART a read from the terminal returns, and the handler ends the program there anyway.
        sigaction(SIGINT, &action, nil)
    }
}
