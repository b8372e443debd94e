import ArgumentParser
import Logging

/// Where a verb that makes a model puts it.
struct TargetArguments: ParsableArguments {
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: ArgumentHelp("The folder to write.", valueName: "folder"))
    var folder: String
}

/// How much a verb says, and in which form.
struct OutputArguments: ParsableArguments {
    @Flag(
        help: "Print the figures as one JSON object, the last line of standard output; all else goes to standard error."
    )
    var json = false

    @Flag(name: [.short, .long], help: "Say more about what is going on (standard error).")
    var verbose = false

    @Flag(name: [.short, .long], help: "Say nothing but the result and errors: no progress, no remarks.")
    var quiet = false

    /// Log messages below this level are dropped.
    var logLevel: Logger.Level {
        if quiet { return .error }
        return verbose ? .debug : .notice
    }

    mutating func validate() throws {
        if verbose && quiet { throw ValidationError("--verbose and --quiet exclude each other.") }
    }
}
