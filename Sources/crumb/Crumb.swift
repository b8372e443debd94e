import ArgumentParser

/// The root of the command line; every verb is a file of `Commands/`.
struct Crumb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crumb",
        abstract: "Shrinks language models to under 3 bits per weight and runs them.",
        discussion: """
            Crumb quantizes the linear layers of a language model to 2, 4 and 16 bits inside each weight \
            matrix, and runs the result (or the unquantized model) on an NVIDIA GPU where there is one, \
            else on the CPU. A model is a GGUF file, a Hugging Face folder, or a folder that \
            `crumb quantize` wrote.

            A first tour:
              crumb quantize SmolLM2.gguf -o smol
              crumb run smol --chat -p "Name three uses of a paper clip."
              crumb eval smol --text book.txt --against SmolLM2.gguf

            Every verb takes --json: then the last line of standard output is one JSON object with the \
            figures, and everything else goes to standard error. After an error that object is \
            {"error":"..."}.

            Exit codes:
              0    done
              1    an error; one sentence on standard error says what and where, or
                   `crumb doctor` found a GPU that fails
              3    `crumb verify` found damage
              4    `crumb quantize` made a model that lost too much, and did not keep it
              64   the command line is wrong
              130  interrupted with Ctrl-C; a quantization goes on when called again

            Completion of words in your shell: crumb --generate-completion-script bash (or zsh, fish)
            """,
        version: Crumb.releaseVersion,
        subcommands: [
            Quantize.self, Tune.self, Run.self, Chat.self, Eval.self, Solve.self, Inspect.self, Verify.self,
            Bench.self, Doctor.self, ExperimentVerb.self,
        ])

    /// What `crumb --version` prints and quantized folders record.
    static let releaseVersion = "0.1.0"
}
