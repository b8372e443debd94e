import ArgumentParser
import CrumbEngine
import CrumbEval

extension TextPortion: ExpressibleByArgument {}

/// What of a text is measured.
struct WindowArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Tokens of a window.", valueName: "n"))
    var context = 2048

    @Option(
        help: ArgumentHelp(
            "The part of the text to measure, by tokens: where the other half was calibrated on.", valueName: "part"))
    var portion = TextPortion.all

    @Option(help: ArgumentHelp("Windows to measure, from the beginning of the text. (default: all)", valueName: "n"))
    var windows: Int?

    mutating func validate() throws {
        try require(context >= 4, "--context is \(context); it must be at least 4.")
        try require(windows.map { $0 >= 1 }, "--windows must be at least 1.")
    }
}
