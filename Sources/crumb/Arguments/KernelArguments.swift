import ArgumentParser
import CrumbCUDA
import CrumbEngine
import CrumbEval
import CrumbGPU

/// Numbers of tokens on the command line: `128`, or `1,8,64`.
struct TokenCounts: ExpressibleByArgument, Equatable {
    let counts: [Int]

    init?(argument: String) {
        let counts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard counts.allSatisfy({ $0.map { (0...1_000_000).contains($0) } == true }), counts.count <= 64 else {
            return nil
        }
        self.counts = counts.compactMap { $0 }
    }
}

/// The kernels of a step one by one.
struct KernelArguments: ParsableArguments {
    @Flag(
        help:
            "Time every kernel of a step on a GPU, at the shapes of --shape (default: llama2-7b), for each number of --tokens."
    )
    var kernels = false

    @Flag(
        help: ArgumentHelp(
            "With --kernels: time the packed products alone, without outliers and with synchronous copies too, M from 1 to \(GPUDecoder.stepRows)."
        ))
    var ablation = false

    mutating func validate() throws {
        try require(kernels || !ablation, "--ablation belongs to --kernels, which is not given.")
    }
}

/// Where measurements on a GPU are kept.
struct ResultArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "With --shape or --kernels: add a row for each figure to this file of comma-separated values, below a row of titles where it is new.",
            valueName: "file"))
    var csv: String?

    @Option(
        help: ArgumentHelp(
            "The commit that --csv names. (default: that of the checkout this program lies in)", valueName: "commit"))
    var commit: String?

    mutating func validate() throws {
        try require(commit == nil || csv != nil, "--commit belongs to --csv, which is not given.")
    }

    /// The file, looked at before the work; nil where none is wanted.
    func file(columns: [String]) throws -> ResultsFile? { try csv.map { try ResultsFile($0, columns: columns) } }

    func measured(on card: MeasuredCard) -> MeasuredOn {
        MeasuredOn(
            date: currentDate(), commit: commit ?? SourceCommit.ofProgram ?? "", card: card.name,
            driver: card.release ?? "CUDA \(card.info.driverVersion)")
    }
}
