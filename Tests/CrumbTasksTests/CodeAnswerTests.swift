import CrumbTasks
import Testing

struct CodeAnswerTests {
    private static let prompt = "import math\n\ndef area(r):\n    \"\"\"Area of a circle.\"\"\"\n"
    private let finder: CodeAnswer

    init() throws { finder = CodeAnswer(try ProgrammingTask(prompt: Self.prompt, checks: ["assert area(0) == 0"])) }

    @Test(arguments: [
        ("    return r * r * 3", "    return r * r * 3", false),
        ("    return 1\n\nprint(area(2))", "    return 1\n\n", true),
        ("    return 1\ndef other():\n    pass", "    return 1\n", true),
        ("    return 1\n```\nThis works because", "    return 1\n", true),
        ("    x = [\n1", "    x = [\n", true), ("\n", "\n", false),
        ("    x = [\n        1,\n]\n    return x\n", "    x = [\n        1,\n]\n    return x\n", false),
        ("\n    return 1\n    \n\t\n", "\n    return 1\n    \n\t\n", false), ("", "", false), ("return 1", "", true),
    ])
    func `a continuation ends before the first line that leaves the function`(
        text: String, kept: String, isComplete: Bool
    ) {
        #expect(finder.program(continuing: text) == Self.prompt + kept + "\n")
        #expect(finder.isComplete(continuing: text) == isComplete)
    }

    @Test(arguments: [
        // The block that has the function, and what the prompt has before it.
        ("Sure!\n```python\ndef area(r):\n    return 1\n```\nDone.", "import math\n\ndef area(r):\n    return 1\n"),
        (
            "```\npip install x\n```\n```python\ndef area(r):\n    return 1\n```",
            "import math\n\ndef area(r):\n    return 1\n"
        ),
        // Helpers and imports of the answer's own stay.
        (
            "```py\nimport cmath\n\ndef area (r):\n    return 2\n\nx = 1\n```",
            "import math\n\nimport cmath\n\ndef area (r):\n    return 2\n\nx = 1\n"
        ),
        ("  ```python\ndef area(r): return 1\n  ```", "import math\n\ndef area(r): return 1\n"),
        // Cut by the number of tokens.
        ("Here:\n```python\ndef area(r):\n    return 1", "import math\n\ndef area(r):\n    return 1\n"),
        // Bodies alone.
        ("```python\nreturn 3\n```", prompt + "    return 3\n"),
        ("```python\n    return 3\n```", prompt + "    return 3\n"),
        // No fence.
        (
            "Here it is.\ndef area(r):\n    return 1\nI hope this helps.",
            "import math\n\ndef area(r):\n    return 1\n\n"
        ),
        ("    return 4", prompt + "    return 4\n"),
        ("def area_of(r):\n    return 1", prompt + "    def area_of(r):\n        return 1\n"),
    ])
    func `an answer's program is its block with the function, else its words as a body`(text: String, program: String) {
        #expect(finder.program(answer: text) == program)
    }

    @Test(arguments: [
        ("", false), ("```python\ndef area(r):\n    return 1", false), ("```\ndef area(r): return 1\n```", true),
        ("```\nls\n```\n", false), ("def area(r): return 1\n", false), ("```\ndef area2(r): return 1\n```", false),
    ])
    func `an answer is complete when the block with its function is closed`(text: String, isComplete: Bool) {
        #expect(finder.isComplete(answer: text) == isComplete)
    }

    @Test func `lines that end as on Windows are lines`() {
        #expect(finder.program(continuing: "    return 1\r\nprint(1)") == Self.prompt + "    return 1\n\n")
        #expect(finder.program(answer: "```\r\ndef area(r): return 1\r\n```").hasSuffix("\ndef area(r): return 1\n"))
    }
}
