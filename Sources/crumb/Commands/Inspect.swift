import ArgumentParser
import CrumbFormats
import CrumbReport

/// `crumb inspect`: what is in a model, without running it.
struct Inspect: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Show what is in a model: architecture, tensors, types, bits.",
        discussion: """
            PATH is a GGUF file, a Hugging Face folder, or a folder that `crumb quantize` wrote. Tensor \
            names are those of Hugging Face; shapes have the outermost dimension first, so a weight \
            matrix is (outputs, inputs).

            --plot draws, into one SVG file that reads well on light and dark pages: how the ranges of \
            the groups of 32 weights are spread in each kind of matrix, which share of each matrix has 4 \
            bits, and which input channels have 4 bits or outliers. Of an unquantized model only the \
            first can be drawn.

            Examples:
              crumb inspect SmolLM2.gguf --tensors
              crumb inspect smol --plot smol.svg

            Keys of --json: architecture, tensors (name, type, shape, bytes, bitsPerWeight), and more.
            """)

    @Argument(help: ArgumentHelp("The model to look into.", valueName: "path"))
    var path: String

    @Flag(help: "List every tensor, not only the kinds.")
    var tensors = false

    @Option(
        help: ArgumentHelp(
            "Draw the ranges of the groups and where the 4-bit channels and outliers lie.", valueName: "file.svg"))
    var plot: String?

    @OptionGroup(title: "Output")
    var output: OutputArguments

    func perform(_ console: Console) throws -> Outcome {
        let inspection = try Inspection(path)
        if let plot {
            try TextFile.checkWritable(plot)
            var collector = try PlotCollector(inspection)
            let picture = try collector.collect { layer, count in
                console.show(
                    Console.Progress(
                        label: "layer \(layer + 1) of \(count)", fraction: Double(layer) / Double(count)))
            }
            try AtomicFile.write(picture.svg(), to: plot)
        }
        return InspectionReport(inspection: inspection, listsAll: tensors).outcome
    }
}
