import ArgumentParser

/// `crumb verify`: whether a quantized folder is still what was written.
struct Verify: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Check every file of a quantized folder against its stored digest.",
        discussion: """
            Files that changed, are missing, or do not belong to the folder are named one by one, and the \
            exit code is 3.

            Example:
              crumb verify smol && echo fine

            Keys of --json: ok, files (name, ok, problem), bytes, seconds.
            """)

    @Argument(help: ArgumentHelp("The folder that `crumb quantize` wrote.", valueName: "folder"))
    var folder: String

    @OptionGroup(title: "Output")
    var output: OutputArguments

    func perform(_ console: Console) throws -> Outcome {
        try FolderCheck(folder) { name, fraction in
            console.show(Console.Progress(label: name, fraction: fraction))
        }.outcome
    }
}
