import CrumbFormats
import CrumbJSON
import CrumbTasks
import Testing

/// The built-in tasks against `Tests/Vectors/tasks/solutions.py`, which has a solution of each.
@Suite(.enabled(if: python != nil, "needs python3"))
struct ReferenceSolutionTests {
    private let runner: CodeRunner

    init() throws { runner = try CodeRunner() }

    private static let tasks = (try? TaskFile.builtIn()) ?? []

    private static func solution(_ name: String) throws -> String {
        let folder = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Vectors/tasks"
        let bytes = try FileSystem.read(folder + "/solutions.py", limit: 1 << 20)
        let parts = String(decoding: bytes, as: UTF8.self).replacing("\n\n\n", with: "\u{0}").split(separator: "\u{0}")
        return String(try #require(parts.first { "\n\($0)".contains("\ndef \(name)(") }, "no solution of \(name)"))
    }

    @Test(arguments: tasks.map(\.name)) func `a task is solved by its solution, and by nothing at all it is not`(
        name: String
    ) throws {
        let task = try #require(Self.tasks.first { $0.name == name })
        let verdict = try runner.run(try Self.solution(name), checks: task.checks)
        #expect(verdict == TaskVerdict(outcome: .solved, detail: ""))
        #expect(try runner.run(task.prompt + "    pass\n", checks: task.checks).outcome != .solved)
    }

    @Test(arguments: tasks.map(\.name)) func `the example of a docstring is true`(name: String) throws {
        let task = try #require(Self.tasks.first { $0.name == name })
        // A JSON string is one of Python's too.
        let prompt = JSON.serialize(.string(task.prompt + "    pass\n"))
        let checks = [
            "import doctest", "scope = dict(globals())", "exec(\(prompt), scope)",
            "test = doctest.DocTestParser().get_doctest(scope['\(name)'].__doc__, globals(), '\(name)', None, 0)",
            "assert len(test.examples) >= 1 and doctest.DocTestRunner(verbose=False).run(test).failed == 0",
        ]
        #expect(try runner.run(try Self.solution(name), checks: checks) == TaskVerdict(outcome: .solved, detail: ""))
    }
}
