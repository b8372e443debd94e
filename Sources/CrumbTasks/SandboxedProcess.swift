import CrumbSandbox
import Glibc

/// One program in its sandbox, from its start to its end.
struct SandboxedProcess {
    /// How it ended.
    struct End {
        /// As `waitpid` gives it.
        let status: Int32
        let isLate: Bool
        /// What it wrote on file descriptor 3, as far as it is kept.
        let verdict: [UInt8]
        /// Bits of `CRUMB_SANDBOX_...`.
        let walls: Int32
    }

    /// Bytes of a verdict that are kept: its word and 400 characters.
    private static let verdictLimit = 2048
    /// Milliseconds between two looks at a process that writes nothing.
    private static let pause: Int32 = 5

    private let process: pid_t
    private let walls: Int32
    private let output: Int32
    private let verdict: Int32

    /// Starts the harness in a folder that has the program and its checks.
    ///
    /// - Throws: `TaskError` where no process can be started.
    init(_ interpreter: Interpreter, in folder: String, limits: CodeRunner.Limits) throws {
        var (output, printing, verdict, judging): (Int32, Int32, Int32, Int32) = (-1, -1, -1, -1)
        guard crumb_sandbox_pipe(&output, &printing) == 0 else { throw Self.failure(errno) }
        guard crumb_sandbox_pipe(&verdict, &judging) == 0 else {
            let code = errno
            close(output)
            close(printing)
            throw Self.failure(code)
        }
        let arguments = CStrings([interpreter.path, "-I", "-S", "-B", "-X", "utf8", "-c", Interpreter.harness])
        let environment = CStrings(["PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + folder])
        var walls: Int32 = 0
        let process = interpreter.path.withCString { program in
            folder.withCString { folder in
                var sandbox = crumb_sandbox(
                    program: program, arguments: arguments.pointers, environment: environment.pointers, folder: folder,
                    output: printing, verdict: judging, memory_bytes: UInt64(limits.memoryBytes),
                    cpu_seconds: UInt64(limits.seconds.rounded(.up)) + 1, file_bytes: UInt64(limits.fileBytes))
                return crumb_sandbox_start(&sandbox, &walls)
            }
        }
        let code = errno
        close(printing)
        close(judging)
        guard process > 0 else {
            close(output)
            close(verdict)
            throw Self.failure(code)
        }
        self.process = process
        self.walls = walls
        self.output = output
        self.verdict = verdict
    }

    /// Waits for the end, or brings it about.
    func end(within seconds: Double) -> End {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: .seconds(seconds))
        var kept: [UInt8] = []
        var isLate = false
        while !hasEnded {
            if clock.now >= deadline {
                isLate = true
                break
            }
            wait()
            // Nobody reads what programs print; taking it in keeps them from waiting.
            drain(output) { _ in }
            drain(verdict) { kept += $0.prefix(Self.verdictLimit - kept.count) }
        }
        // The group while its leader is not yet waited for, so that its number cannot be somebody else's.
        kill(-process, SIGKILL)
        kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        drain(verdict) { kept += $0.prefix(Self.verdictLimit - kept.count) }
        close(output)
        close(verdict)
        return End(status: status, isLate: isLate, verdict: kept, walls: walls)
    }

    /// Whether it ended; it can still be waited for.
    private var hasEnded: Bool {
        var information = siginfo_t()
        return waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT) == 0
            && information.si_signo == SIGCHLD
    }

    private func wait() {
        var waiting = [output, verdict].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        // Where both are closed already, poll would return at once.
        if poll(&waiting, 2, Self.pause) > 0, waiting.allSatisfy({ $0.revents & Int16(POLLIN) == 0 }) {
            usleep(UInt32(Self.pause) * 1000)
        }
    }

    /// Reads what is there; at most some blocks, so that a program that never stops writing cannot keep its reader.
    private func drain(_ descriptor: Int32, _ take: (ArraySlice<UInt8>) -> Void) {
        var block = [UInt8](repeating: 0, count: 1 << 16)
        for _ in 0..<16 {
            let count = read(descriptor, &block, block.count)
            guard count > 0 else { return }
            take(block[..<count])
        }
    }

    private static func failure(_ code: Int32) -> TaskError {
        TaskError(
            "no process can be started for the code: \(String(cString: strerror(code))); end other programs, or raise "
                + "the limits that ulimit shows")
    }
}
