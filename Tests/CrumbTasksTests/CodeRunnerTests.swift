import CrumbTasks
import CrumbTestSupport
import Glibc
import Testing

/// nil where this machine has no Python.
let python = try? Interpreter()

@Suite(.enabled(if: python != nil, "needs python3"))
struct CodeRunnerTests {
    /// A runner with little time.
    private func runner(seconds: Double = 10) throws -> CodeRunner {
        var limits = CodeRunner.Limits()
        limits.seconds = seconds
        limits.memoryBytes = 256 << 20
        return try CodeRunner(limits: limits)
    }

    @Test(arguments: [
        ("def f(): return 1", "assert f() == 1", TaskOutcome.solved, ""),
        ("def f(): return 2", "assert f() == 1", .wrong, "assert f() == 1"),
        ("def f(): return 1 +", "assert f() == 1", .error, "SyntaxError"),
        ("def f(): return g()", "assert f() == 1", .error, "NameError"),
        ("assert False", "assert True", .error, "AssertionError"),
        ("def f(n): return f(n + 1)", "f(0)", .error, "RecursionError"),
        ("print(input())", "assert True", .error, "EOFError"),
        ("import sys; sys.exit(0)", "assert False", .error, "SystemExit"),
        ("import os; os._exit(0)", "assert False", .error, "ended with code 0 before its checks"),
        (
            "import os, signal; signal.raise_signal(signal.SIGSEGV)\nwhile True: os.abort()", "assert True", .error,
            "ended by signal"
        ),
        ("def f(): return 'ä€\u{1F600}'", "assert f() == 'ä€\u{1F600}'", .solved, ""),
        ("x = 'a' * (1 << 30)", "assert True", .error, "MemoryError"),
        ("if __name__ == '__main__': raise ValueError", "assert True", .solved, ""),
    ])
    func `a verdict says what came of the checks`(
        program: String, check: String, outcome: TaskOutcome, detail: String
    ) throws {
        let verdict = try runner().run(program, checks: ["assert 1 + 1 == 2", check])
        #expect(verdict.outcome == outcome, "\(verdict)")
        #expect(verdict.detail.contains(detail) && verdict.detail.isEmpty == detail.isEmpty, "\(verdict)")
    }

    @Test(arguments: [
        "while True: pass", "import time; time.sleep(60)", "while True: print('x' * 100000)",
        "import os\nos.close(1); os.close(2); os.close(3)\nwhile True: pass",
        "import signal\nfor n in range(1, 32):\n  try: signal.signal(n, signal.SIG_IGN)\n  except Exception: pass\nwhile True: pass",
        "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    ])
    func `a program that does not end is ended`(program: String) throws {
        let runner = try runner(seconds: 1.5)
        let clock = ContinuousClock()
        let start = clock.now
        #expect(try runner.run(program, checks: ["assert True"]).outcome == .timeOut)
        #expect(start.duration(to: clock.now) < .seconds(8))
    }

    @Test(arguments: [
        "print('x' * 3000000)", "import os; os.write(1, bytes(range(256)) * 9999)",
        "import os; os.close(1); os.close(2)",
        "import sys; sys.stdout = None", "import sys; sys.stderr.write('\\ud800')",
    ])
    func `what a program prints does not change its verdict`(program: String) throws {
        let verdict = try runner().run("try:\n  \(program)\nexcept Exception: pass", checks: ["assert True"])
        #expect(verdict == TaskVerdict(outcome: .solved, detail: ""))
    }

    @Test(arguments: [
        "import os; os.write(3, b'\\xff\\xfe' * 5000); os._exit(0)",
        "import os; os.write(3, b'time-out\\n'); os._exit(3)",
        "import os; os.write(3, b'solved'); os._exit(1)",
    ])
    func `a broken verdict is an error`(program: String) throws {
        let verdict = try runner().run(program, checks: ["assert True"])
        #expect(verdict.outcome == .error)
        #expect(verdict.detail.count < 600)
    }

    @Test func `a long message is cut and stays in one line`() throws {
        let verdict = try runner().run("raise ValueError('a\\nb' * 100000)", checks: ["assert True"])
        #expect(verdict.outcome == .error)
        #expect(verdict.detail.count <= 400 && !verdict.detail.contains("\n"))
    }

    @Test func `a program starts in a folder of its own, which goes with it`() throws {
        let program = """
            import os
            os.makedirs("a/b/c"); open("a/b/file", "w").write("x"); os.symlink("/", "a/link"); os.chmod("a/b", 0)
            raise ValueError(os.getcwd())
            """
        let verdict = try runner().run(program, checks: ["assert True"])
        let folder = try #require(verdict.detail.split(separator: " ").last.map(String.init))
        #expect(folder.contains("crumb-task-"), "\(verdict)")
        #expect(access(folder, F_OK) != 0)
    }

    @Test func `a file cannot grow without bound`() throws {
        let program =
            "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nopen('f', 'wb').write(bytes(2 << 20))"
        #expect(try runner().run(program, checks: ["assert True"]).detail.contains("File too large"))
    }

    @Test func `files outside the folder cannot be changed where there is Landlock`() throws {
        let runner = try runner()
        guard runner.walls.readOnly else { return }
        let outside = try TemporaryFolder()
        try outside.write("kept", Array("kept".utf8))
        for act in [
            "open(p + '/new', 'w')", "open(p + '/kept', 'w')", "os.remove(p + '/kept')", "os.rename(p + '/kept', 'x')",
        ] {
            let verdict = try runner.run("import os\np = '\(outside.path)'\n\(act)", checks: ["assert True"])
            #expect(
                verdict.detail.contains("Permission denied") || verdict.detail.contains("cross-device"), "\(verdict)")
        }
        #expect(outside.names == ["kept"])
        #expect(try outside.read("kept") == Array("kept".utf8))
    }

    @Test func `there is no network, and no child that lives on, where there are namespaces`() throws {
        let runner = try runner()
        guard runner.walls.noNetwork else { return }
        let connect = "import socket; socket.create_connection(('127.0.0.1', 1), 1)"
        #expect(try runner.run(connect, checks: ["assert True"]).detail.contains("unreachable"))
        let kill = "import os\nos.kill(\(getpid()), 0)"
        #expect(try runner.run(kill, checks: ["assert True"]).detail.contains("ProcessLookupError"))
    }

    @Test func `the environment and open files of this process stay here`() throws {
        setenv("CRUMB_TEST_SECRET", "secret", 1)
        let program =
            "import os\nassert 'CRUMB_TEST_SECRET' not in os.environ\nassert len(os.listdir('/proc/self/fd')) <= 5"
        let verdict = try runner().run("def f():\n    pass", checks: program.split(separator: "\n").map(String.init))
        #expect(verdict.outcome == .solved, "\(verdict)")
    }

    @Test func `limits that Python cannot run in are an error before any work`() {
        var limits = CodeRunner.Limits()
        limits.memoryBytes = 1 << 20
        #expect(throws: TaskError.self) { try CodeRunner(limits: limits) }
    }
}
