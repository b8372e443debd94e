import CrumbEngine
import CrumbEval
import CrumbJSON
import CrumbReport
import CrumbTasks

/// What `crumb solve` found of one model, for people and for programs.
struct SolutionReport {
    /// One task's answer and what came of it.
    private struct Entry {
        let name: String
        let answer: TaskSolver.Answer
        let verdict: TaskVerdict
    }

    let placement: Placement
    private var entries: [Entry] = []

    init(placement: Placement) { self.placement = placement }

    mutating func add(_ task: ProgrammingTask, _ answer: TaskSolver.Answer, _ verdict: TaskVerdict) {
        entries.append(Entry(name: task.name, answer: answer, verdict: verdict))
    }

    var solved: Int { count(.solved) }

    private func count(_ outcome: TaskOutcome) -> Int { entries.count { $0.verdict.outcome == outcome } }
    private var share: Double { Double(solved) / Double(max(entries.count, 1)) }
    private var tokens: Int { entries.reduce(0) { $0 + $1.answer.tokens } }
    private var seconds: Double { entries.reduce(0) { $0 + $1.answer.seconds } }

    /// The report of a model, beside that of its source if there is one.
    static func outcome(_ model: SolutionReport, source: SolutionReport?) -> Outcome {
        var json = model.json
        if let source {
            json["source"] = .object(source.json)
            json["shareOfSource"] = shareOfSource(model, source).map { JSONValue($0) } ?? .null
        }
        return Outcome(text: model.list(beside: source) + "\n" + model.table(beside: source), json: json)
    }

    /// nil where the source solved none.
    private static func shareOfSource(_ model: SolutionReport, _ source: SolutionReport) -> Double? {
        source.solved > 0 ? Double(model.solved) / Double(source.solved) : nil
    }

    /// A line for each task.
    private func list(beside source: SolutionReport?) -> String {
        let sources: [(String, TextTable.Alignment)] = source == nil ? [] : [("source", .left)]
        var table = TextTable([("task", .left), ("result", .left)] + sources + [("", .left)])
        for (index, entry) in entries.enumerated() {
            let sources = source.map { [$0.entries[index].verdict.outcome.rawValue] } ?? []
            // What a program says may be long.
            let detail = entry.verdict.detail
            table.append(
                [entry.name, entry.verdict.outcome.rawValue] + sources
                    + [detail.count > 60 ? detail.prefix(59) + "…" : detail])
        }
        return table.plain()
    }

    private func table(beside source: SolutionReport?) -> String {
        var table = TextTable([("", .left), ("", .left)])
        table.append(["solved", solvedWords])
        if let source {
            table.append(["solved by the source", source.solvedWords])
            table.append([
                "share of the source's",
                Self.shareOfSource(self, source).map { Figures.percent($0) } ?? "none to compare with",
            ])
        }
        table.append(["wrong, error, time-out", "\(count(.wrong)), \(count(.error)), \(count(.timeOut))"])
        table.append(["written", "\(Figures.count(tokens)) tokens in \(Figures.duration(seconds))"])
        table.append(["device", "\(placement)"])
        if let source { table.append(["source's device", "\(source.placement)"]) }
        return table.plain()
    }

    private var solvedWords: String { "\(solved) of \(entries.count), \(Figures.percent(share))" }

    private var json: JSONObject {
        [
            "solved": JSONValue(solved), "tasks": JSONValue(entries.count), "share": JSONValue(share),
            "wrong": JSONValue(count(.wrong)), "errors": JSONValue(count(.error)),
            "timeOuts": JSONValue(count(.timeOut)),
            "results": .array(
                entries.map { entry in
                    [
                        "name": .string(entry.name), "outcome": .string(entry.verdict.outcome.rawValue),
                        "detail": .string(entry.verdict.detail), "tokens": JSONValue(entry.answer.tokens),
                        "program": .string(entry.answer.program),
                    ]
                }),
            "tokens": JSONValue(tokens), "seconds": JSONValue(seconds), "device": .string(placement.device),
            "backend": .string(placement.backend),
        ]
    }
}
