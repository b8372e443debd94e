import ArgumentParser
import CrumbEngine
import CrumbEval
import CrumbFormats
import CrumbTasks

extension TaskSolver.Style: ExpressibleByArgument {}

/// `crumb solve`: programming tasks, solved by a model and checked by running what it wrote.
struct Solve: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Let a model write small Python functions, and run them to see which are right.",
        discussion: """
            Each task is a signature and a docstring with an example. The model writes the function with \
            the most likely tokens, and python3 runs it with checks that the model did not see: a task is \
            solved, wrong (a check failed), error (it is no Python, or raised one) or time-out.

            THIS RUNS CODE THAT A MODEL WROTE, which nobody has read, and so needs --run-code. Each \
            program has a process of its own with 10 seconds, 1 GiB of memory and a folder that is removed. \
            Where the kernel allows it, it also has no network, sees no other process, and can change no \
            file outside that folder; a remark says so where it does not. It can read what you can read. \
            Take a container or a virtual machine for models that you do not trust.

            --against SOURCE lets a second model solve the same tasks, and adds the share of SOURCE's \
            solved tasks.

            Own tasks are JSON lines: {"prompt": "def double(n):\\n    \\"\\"\\"Return...\\"\\"\\"", \
            "checks": ["assert double(2) == 4"]}.

            Examples:
              crumb solve qwen --run-code
              crumb solve qwen --run-code --against Qwen2.5-Coder.gguf --json
              crumb solve qwen --run-code --tasks mine.jsonl --style plain

            Keys of --json: solved, tasks, share, wrong, errors, timeOuts, results (of each task its name, \
            outcome, detail, tokens, program), tokens, seconds, device, backend; with --against also source, \
            an object with the same keys, and shareOfSource.
            """)

    @Argument(help: ArgumentHelp("The model that writes.", valueName: "model"))
    var model: String

    @Flag(help: "Allow that code which the model writes is run on this machine. Nothing happens without it.")
    var runCode = false

    @Option(help: ArgumentHelp("The unquantized model to compare with.", valueName: "source"))
    var against: String?

    @Option(help: ArgumentHelp("Tasks of your own. (default: those that are part of the program)", valueName: "file"))
    var tasks: String?

    @Option(help: ArgumentHelp("Solve only this many tasks, spread evenly. (default: all)", valueName: "n"))
    var limit: Int?

    @Option(
        help: ArgumentHelp(
            "plain: the model goes on with the text. chat: it answers a message. begun: likewise, and its answer's first lines are written for it. (default: begun where there is a chat template, else plain)",
            valueName: "name"))
    var style: TaskSolver.Style?

    @Option(
        name: [.customShort("n"), .customLong("tokens")],
        help: ArgumentHelp("Tokens of an answer at most.", valueName: "n"))
    var maximumTokens = 256

    @OptionGroup(title: "Engine")
    var engine: EngineArguments

    @OptionGroup(title: "Output")
    var output: OutputArguments

    mutating func validate() throws {
        try require(
            runCode,
            "this runs code that the model writes, in a sandbox that --help describes; allow it with --run-code.")
        try require(limit.map { $0 >= 1 }, "--limit must be at least 1.")
        try require(maximumTokens >= 1, "--tokens is \(maximumTokens); it must be at least 1.")
    }

    func perform(_ console: Console) throws -> Outcome {
        let all =
            try tasks.map { try TaskFile.read(FileSystem.read($0, limit: 1 << 26), source: $0) }
            ?? TaskFile.builtIn()
        let count = min(limit ?? all.count, all.count)
        let chosen = (0..<count).map { all[$0 * all.count / count] }
        let runner = try CodeRunner()
        if !runner.walls.noNetwork { console.note("The code can use the network: this machine allows no namespaces.") }
        if !runner.walls.readOnly { console.note("The code can change your files: this machine has no Landlock.") }

        let pool = engine.pool()
        let models = [model] + (against.map { [$0] } ?? [])
        let solvers = try models.map { path in
            let model = try engine.load(path, pool: pool)
            return (try TaskSolver(model, tasks: chosen, style: style, limit: maximumTokens), model.placement)
        }
        let reports = try solvers.enumerated().map { index, solver in
            var report = SolutionReport(placement: solver.1)
            for (number, task) in chosen.enumerated() {
                var label = "task \(number + 1) of \(count), \(report.solved) solved"
                if index == 1 { label = "source, " + label }
                let share = Double(index * count + number) / Double(models.count * count)
                console.show(Console.Progress(label: label, fraction: share))
                let answer = try solver.0.answer(number)
                report.add(task, answer, try runner.run(answer.program, checks: task.checks))
            }
            return report
        }
        return SolutionReport.outcome(reports[0], source: reports.count > 1 ? reports[1] : nil)
    }
}
