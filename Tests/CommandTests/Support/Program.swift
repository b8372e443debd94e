import CrumbFormats
import CrumbJSON
import Glibc
import Testing

/// The built program, run as a user runs it.
enum Program {
    /// What a run left behind.
    struct Result {
        /// The exit code, or 128 plus the signal that ended it.
        var code: Int32
        var output: String
        var errors: String

        /// The object on the last line of standard output.
        func json(_ location: SourceLocation = #_sourceLocation) throws -> JSONObject {
            let last = try #require(
                output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().last,
                "standard output: \(output), standard error: \(errors)", sourceLocation: location)
            let value = try JSON.parse(String(last), source: "the last line of standard output")
            return try #require(value.object, sourceLocation: location)
        }
    }

    /// A program that was started and not yet waited for.
    struct Running {
        fileprivate let process: pid_t
        fileprivate let outputPath: String
        fileprivate let errorsPath: String

        /// Sends a signal.
        func signal(_ number: Int32) { kill(process, number) }

        /// Waits for the end.
        func wait() throws -> Result {
            var status: Int32 = 0
            while waitpid(process, &status, 0) < 0, errno == EINTR {}
            let signal = status & 0x7F
            let result = Result(
                code: signal == 0 ? status >> 8 & 0xFF : 128 + signal,
                output: outputPath == "/dev/full" ? "" : try text(outputPath), errors: try text(errorsPath))
            for path in [outputPath, errorsPath] where path != "/dev/full" { unlink(path) }
            return result
        }

        private func text(_ path: String) throws -> String {
            String(decoding: try FileSystem.read(path, limit: 1 << 26), as: UTF8.self)
        }
    }

    /// The folder of the tests' own executable, where the program was built.
    static let buildFolder: String = {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        let path = String(decoding: buffer.prefix(max(length, 0)), as: UTF8.self)
        return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }()

    /// Runs `crumb` to its end.
    static func crumb(
        _ arguments: String..., input: String = "", output: String? = nil, environment: [String] = []
    ) throws -> Result {
        try start(
            [buildFolder + "/crumb"] + arguments, input: Array(input.utf8), output: output, environment: environment
        ).wait()
    }

    /// Starts a program by its path.
    static func start(
        _ command: [String], input: [UInt8] = [], output: String? = nil, environment: [String] = []
    ) throws -> Running {
        let inputPath = Scratch.path("input")
        let running = (output: output ?? Scratch.path("output"), errors: Scratch.path("errors"))
        try AtomicFile.write(input, to: inputPath)
        defer { unlink(inputPath) }
        let process = try spawn(
            command, input: inputPath, output: running.output, errors: running.errors, environment: environment)
        return Running(process: process, outputPath: running.output, errorsPath: running.errors)
    }

    /// Runs a program to its end with its standard error on a terminal of 80 columns.
    ///
    /// - Returns: What came to the terminal.
    static func onTerminal(_ command: [String], environment: [String] = []) throws -> (code: Int32, errors: String) {
        let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        defer { close(terminal) }
        // What unlockpt(3) and ptsname(3), which the C library's module lacks, do: TIOCSPTLCK and TIOCGPTN.
        var (unlocked, number) = (Int32(0), Int32(0))
        var size = winsize(ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0)
        let isReady =
            terminal >= 0 && ioctl(terminal, 0x4004_5431, &unlocked) == 0 && ioctl(terminal, 0x8004_5430, &number) == 0
            && ioctl(terminal, UInt(TIOCSWINSZ), &size) == 0
        try #require(isReady, "no terminal can be made")
        let name = "/dev/pts/\(number)"
        let process = try spawn(
            command, input: "/dev/null", output: "/dev/null", errors: name, environment: environment)
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        // Once the program has ended and all is read, there is an error instead of an end.
        while case let count = read(terminal, &block, block.count), count > 0 { bytes += block[..<count] }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return (status >> 8 & 0xFF, String(decoding: bytes, as: UTF8.self))
    }

    /// Starts a program with files as its streams.
    private static func spawn(
        _ command: [String], input: String, output: String, errors: String, environment: [String]
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let writing = O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, writing, 0o644)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, writing, 0o644)
        // Tests run on threads that block signals, and a child would inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        let inherited = ["PATH", "HOME", "LD_LIBRARY_PATH"].compactMap { (name: String) in
            getenv(name).map { "\(name)=\(String(cString: $0))" }
        }
        let variables: [UnsafeMutablePointer<CChar>?] = (inherited + environment).map { strdup($0) } + [nil]
        defer { (arguments + variables).forEach { free($0) } }
        var process = pid_t()
        let failed = posix_spawn(&process, command[0], &actions, &attributes, arguments, variables)
        try #require(failed == 0, "\(command[0]) cannot be started: \(String(cString: strerror(failed)))")
        return process
    }
}
