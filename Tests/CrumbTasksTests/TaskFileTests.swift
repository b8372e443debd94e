import CrumbTasks
import Testing

struct TaskFileTests {
    @Test func `a task is called as its last function, and its prompt ends in one newline`() throws {
        let text =
            #"{"prompt": "def help():\n    return 1\n\n\ndef twice(n):\n    \"\"\"...\"\"\"\n  ", "checks": ["x", "y"]}"#
        let tasks = try TaskFile.read(Array("\n\(text)\n \n".utf8), source: "mine")
        #expect(tasks.map(\.name) == ["twice"])
        #expect(tasks[0].prompt.hasSuffix("(n):\n    \"\"\"...\"\"\"\n"))
        #expect(tasks[0].preamble == "def help():\n    return 1\n\n\n")
        #expect(tasks[0].checks == ["x", "y"])
    }

    @Test(arguments: [
        ("", "mine has no tasks"), ("  \n\n", "mine has no tasks"), ("{", "mine, line 1"), ("\n7", "mine, line 2"),
        (#"{"prompt": "def f():"}"#, "\"checks\""), (#"{"prompt": 1, "checks": ["x"]}"#, "\"prompt\""),
        (#"{"prompt": "def f():", "checks": []}"#, "f has no checks"),
        (#"{"prompt": "def f():", "checks": ["x", 3]}"#, "1 of 2 checks"),
        (#"{"prompt": "class F:", "checks": ["x"]}"#, "no line that begins with \"def \""),
        (#"{"prompt": "def (x):", "checks": ["x"]}"#, "has no name"),
        (
            "{\"prompt\": \"def f():\", \"checks\": [\"x\"]}\n{\"prompt\": \"def f(a):\", \"checks\": [\"x\"]}",
            "line 2: a task called f"
        ),
    ])
    func `a file that is no list of tasks is refused with its line`(text: String, words: String) {
        let error = #expect(throws: (any Error).self) { try TaskFile.read(Array(text.utf8), source: "mine") }
        #expect(error.map { "\($0)" }?.contains(words) == true, "\(error.map { "\($0)" } ?? "")")
    }

    @Test func `there are at least forty built-in tasks, each with an example and several checks`() throws {
        let tasks = try TaskFile.builtIn()
        #expect(tasks.count >= 40)
        for task in tasks {
            #expect(task.prompt.contains(">>> "), "\(task.name)")
            #expect(task.checks.count >= 3, "\(task.name)")
        }
    }
}
