import ArgumentParser
import CrumbJSON
import CrumbPipeline

/// A subcommand that does work and has figures to show for it.
protocol Verb: ParsableCommand {
    /// How the figures are to be shown.
    var output: OutputArguments { get }

    /// Does the work; progress and remarks go to `console`, the result comes back.
    func perform(_ console: Console) throws -> Outcome
}

/// What a verb brings back: the same figures for people and for programs.
struct Outcome {
    /// The last words on standard output without `--json`; empty where all was said while it happened.
    var text: String
    /// The one line on standard output with `--json`.
    var json: JSONObject
    var exitCode: Int32 = ExitStatus.success
}

/// The exit codes that `crumb --help` documents; wrong usage (64) comes from the argument parser.
enum ExitStatus {
    static let success: Int32 = 0
    static let failure: Int32 = 1
    static let damage: Int32 = 3
    static let excessiveLoss: Int32 = 4
    static let interrupted: Int32 = 130
}

/// Throws a usage error unless `condition` holds; nil, an option that was not given, holds.
func require(_ condition: Bool?, _ message: String) throws {
    if condition == false { throw ValidationError(message) }
}

/// Numbers that the pipeline refuses are wrong usage.
func asUsage(_ check: () throws -> Void) throws {
    do {
        try check()
    } catch let error as PipelineError {
        throw ValidationError(error.description)
    }
}
