import CrumbFormats
import CrumbSandbox
import Glibc

/// Python 3, which the tasks are written in.
package struct Interpreter: Sendable {
    /// The program itself, behind any version manager's stand-in.
    package let path: String

    /// What runs the tasks: the solution, then each check, and one word about them on file descriptor 3. Whatever is printed
    /// or broken meanwhile, that word is all that counts.
    static let harness = """
        import os, sys
        verdict = os.fdopen(3, "w")
        def end(word, detail="", leave=os._exit):
            verdict.write(word + "\\n" + detail[:400])
            verdict.flush()
            leave(0)
        scope = {"__name__": "solution"}
        try:
            with open("solution.py", encoding="utf-8") as file: source = file.read()
            with open("checks.py", encoding="utf-8") as file: checks = file.read().split("\\0")
            exec(compile(source, "solution.py", "exec"), scope)
        except BaseException as error:
            end("error", type(error).__name__ + ": " + str(error))
        for check in checks:
            try:
                exec(compile(check, "check", "exec"), scope)
            except AssertionError:
                end("wrong", check)
            except BaseException as error:
                end("error", type(error).__name__ + ": " + str(error))
        end("solved")
        """

    /// Finds the interpreter that `python3` leads to.
    ///
    /// - Throws: `TaskError` where there is none.
    package init() throws {
        let search = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        let candidates = search.split(separator: ":").map { FileSystem.join(String($0), "python3") }
        for candidate in candidates where access(candidate, X_OK) == 0 && !FileSystem.isFolder(candidate) {
            // Version managers put scripts in its place, which need processes and an environment that tasks do not get.
            if let path = Self.executable(of: candidate) {
                self.path = path
                return
            }
        }
        throw TaskError(
            "python3, which runs the code, was not found on PATH or does not start; install Python 3.8 or later")
    }

    /// What an interpreter says it is; nil where it does not start, or is too old.
    private static func executable(of candidate: String) -> String? {
        let question = "import sys; print(sys.executable if sys.version_info >= (3, 8) else '')"
        let command = CStrings([candidate, "-I", "-S", "-c", question])
        var (reading, writing): (Int32, Int32) = (-1, -1)
        guard crumb_sandbox_pipe(&reading, &writing) == 0 else { return nil }
        defer { close(reading) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, writing, STDOUT_FILENO)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        var process = pid_t()
        let failed = posix_spawn(&process, candidate, &actions, nil, command.pointers, environ)
        close(writing)
        guard failed == 0 else { return nil }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        // A path is shorter than what a pipe holds, so it could be written before anybody read.
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(reading, &bytes, bytes.count)
        let path = String(decoding: bytes[..<max(count, 0)].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        return status == 0 && path.hasPrefix("/") ? path : nil
    }
}
