import ArgumentParser
import CrumbGPU

extension ModelShape: ExpressibleByArgument {}

/// How the weights of a model without a checkpoint are stored.
enum ShapeWeights: String, ExpressibleByArgument, CaseIterable {
    case crumb, fp16

    /// What they are made with.
    var options: RandomModelOptions { RandomModelOptions(isPacked: self == .crumb) }
}

/// Numbers of sequences on the command line: `1,8,16,64`.
struct BatchSizes: ExpressibleByArgument, Equatable {
    let sizes: [Int]

    init?(argument: String) {
        let sizes = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard sizes.allSatisfy({ $0.map { (1...GPUDecoder.stepRows).contains($0) } == true }), sizes.count <= 64 else {
            return nil
        }
        self.sizes = sizes.compactMap { $0 }
    }
}

/// Random weights of a well-known model's sizes on a GPU, in place of a model.
struct ShapeArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Measure a GPU on random weights of this model's sizes: prompts and decode steps, or, with --kernels, its kernels.",
            valueName: "name"))
    var shape: ModelShape?

    @Option(
        help: ArgumentHelp(
            "With --shape: crumb, 2.86 bits a weight and an 8-bit head; fp16, all in 16 bits. (default: crumb)",
            valueName: "name"))
    var weights: ShapeWeights?

    @Option(
        help: ArgumentHelp(
            "With --shape: sequences decoded side by side, each number from 1 to \(GPUDecoder.stepRows) on its own. (default: 1,8,16,64)",
            valueName: "n,..."))
    var batch: BatchSizes?

    @Option(
        help: ArgumentHelp(
            "With --shape: tokens that each sequence has before the first step. (default: 256)", valueName: "n"))
    var context: Int?

    mutating func validate() throws {
        try require(
            shape != nil || (weights == nil && batch == nil && context == nil),
            "--weights, --batch and --context belong to --shape, which is not given.")
        try require(context.map { (0...1_000_000).contains($0) }, "--context must lie between 0 and 1000000.")
    }
}
