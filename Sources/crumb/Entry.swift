import ArgumentParser
import CrumbJSON
import CrumbPipeline
import Glibc

/// The one place where a command line becomes work, and an error becomes a sentence and an exit code.
@main
enum Entry {
    static func main() {
        let command: any ParsableCommand
        do {
            command = try Crumb.parseAsRoot()
        } catch {
            reportMisuse(error)
            Crumb.exit(withError: error)
        }
        if let verb = command as? any Verb {
            exit(perform(verb))
        }
        do {
            var other = command
            try other.run()
        } catch {
            Crumb.exit(withError: error)
        }
    }

    /// Prints the object that programs wait for when the command line, which asks for it, is wrong otherwise.
    private static func reportMisuse(_ error: any Error) {
        // Help and version come as errors too.
        guard CommandLine.arguments.contains("--json"), Crumb.exitCode(for: error) != .success else { return }
        try? StandardOutput.write(json: ["error": .string(ErrorMapping.sentence(Crumb.message(for: error)))])
    }

    private static func perform(_ verb: any Verb) -> Int32 {
        let console = Console(verb.output)
        StandardErrorLogHandler.bootstrap(console, level: verb.output.logLevel)
        do {
            let outcome = try verb.perform(console)
            console.endProgress()
            if verb.output.json {
                try StandardOutput.write(json: outcome.json)
            } else {
                try StandardOutput.write(line: outcome.text)
            }
            return outcome.exitCode
        } catch {
            console.endProgress()
            let sentence = ErrorMapping.sentence(for: error)
            console.write(error: sentence)
            if verb.output.json, !(error is StandardOutput.WriteError) {
                try? StandardOutput.write(json: ["error": .string(sentence)])
            }
            return error is ExcessiveLoss ? ExitStatus.excessiveLoss : ExitStatus.failure
        }
    }
}
