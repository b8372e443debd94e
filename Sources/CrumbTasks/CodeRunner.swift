import CrumbFormats
import CrumbSandbox
import Glibc

/// What came of a program.
package enum TaskOutcome: String, Sendable, CaseIterable {
    /// It passed every check.
    case solved
    /// A check's assert failed.
    case wrong
    /// It is no Python, raised an error, or ended otherwise.
    case error
    case timeOut = "time-out"
}

/// What came of a program, and why.
package struct TaskVerdict: Sendable, Equatable {
    package var outcome: TaskOutcome
    /// The check that failed, or the error, in one line; empty where it is solved. A program's own words, so they are
    /// bounded and to be shown as such.
    package var detail: String

    package init(outcome: TaskOutcome, detail: String) {
        self.outcome = outcome
        self.detail = detail
    }
}

/// Runs programs with their checks, each in a process of its own that can do little.
package struct CodeRunner: Sendable {
    /// What a program may take.
    package struct Limits: Sendable {
        package var seconds = 10.0
        package var memoryBytes = 1 << 30
        /// Of one file in its folder.
        package var fileBytes = 1 << 20

        package init() {}
    }

    /// What this machine puts up around programs beside the limits.
    package struct Walls: Sendable {
        package fileprivate(set) var noNetwork = false
        /// Nothing outside the program's folder can be changed.
        package fileprivate(set) var readOnly = false
    }

    package let interpreter: Interpreter
    package let limits: Limits
    package private(set) var walls = Walls()

    /// - Throws: `TaskError` where there is no Python that runs within `limits`.
    package init(limits: Limits = Limits()) throws {
        interpreter = try Interpreter()
        self.limits = limits
        // Before a model works for minutes.
        let end = try start("", checks: ["assert True"])
        let verdict = verdict(end)
        guard verdict.outcome == .solved else {
            throw TaskError(
                "\(interpreter.path) does not run code within the limits: \(verdict.outcome.rawValue), \(verdict.detail)"
            )
        }
        walls.noNetwork = end.walls & Int32(CRUMB_SANDBOX_NO_NETWORK) != 0
        walls.readOnly = end.walls & Int32(CRUMB_SANDBOX_READ_ONLY) != 0
    }

    /// Runs a program, then its checks in its scope.
    ///
    /// - Throws: `TaskError` where no process can be started; what the program does is the verdict's.
    package func run(_ program: String, checks: [String]) throws -> TaskVerdict {
        verdict(try start(program, checks: checks))
    }

    private func start(_ program: String, checks: [String]) throws -> SandboxedProcess.End {
        try ScratchFolder.with { folder in
            try AtomicFile.write(program, to: FileSystem.join(folder, "solution.py"))
            // No source has a zero byte.
            try AtomicFile.write(checks.joined(separator: "\0"), to: FileSystem.join(folder, "checks.py"))
            return try SandboxedProcess(interpreter, in: folder, limits: limits).end(within: limits.seconds)
        }
    }

    private func verdict(_ end: SandboxedProcess.End) -> TaskVerdict {
        if end.isLate { return TaskVerdict(outcome: .timeOut, detail: "not done after \(limits.seconds) s") }
        let text = String(decoding: end.verdict, as: UTF8.self)
        let lines = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if lines.count == 2, let outcome = TaskOutcome(rawValue: lines[0]), outcome != .timeOut {
            return TaskVerdict(outcome: outcome, detail: lines[1].replacing("\n", with: " "))
        }
        let signal = end.status & 0x7F
        return TaskVerdict(
            outcome: .error,
            detail: signal == 0
                ? "ended with code \(end.status >> 8 & 0xFF) before its checks" : "ended by signal \(signal)")
    }
}
