import CrumbCUDA
import CrumbEngine
import CrumbEval
import CrumbGPU
import Logging

/// Measurements on a GPU without a model's files.
extension Bench {
    /// Prompts and decode steps of `--shape`.
    func measure(_ shape: ModelShape, _ console: Console) throws -> Outcome {
        let file = try results.file(columns: ShapeBenchmark.recordColumns)
        let logger = Logger(label: "crumb.bench")
        let card = try Card(engine.place.device.index, logger: logger)
        let device = card.device
        // Before the model, which may leave little memory.
        console.show(Console.Progress(label: "read bandwidth", fraction: 0))
        let bandwidth = try DeviceBandwidth.bytesPerSecond(library: card.library)
        let weights = random.weights ?? .crumb
        console.show(Console.Progress(label: "random weights", fraction: 0.05))
        let start = secondsSinceBoot()
        let gpu = try RandomModel.decoder(
            shape.configuration, weights.options, library: card.library, blas: card.blas)
        // The rest is measuring: --runs times --tokens steps by two clocks for each batch, minutes for a large shape.
        logger.info(
            "random weights made",
            metadata: ["bytesPerToken": "\(gpu.bytesPerToken)", "seconds": "\(secondsSinceBoot() - start)"])
        var options = ShapeBenchmark.Options(
            context: random.context ?? 256, steps: generatedTokens, promptTokens: promptLength, repetitions: runCount)
        if let batch = random.batch { options.batches = batch.sizes }
        let library = try? NVML.load()
        let counter = library?.card(device.info)
        let benchmark = try ShapeBenchmark.measure(gpu, options: options, energy: { counter?.energyMillijoules }) {
            next, fraction in
            console.show(Console.Progress(label: next, fraction: 0.1 + 0.9 * fraction))
        }
        let measured = MeasuredCard(info: device.info, release: library?.driverRelease)
        try file?.append(
            benchmark.records(
                results.measured(on: measured), shape: shape.rawValue,
                weights: weights.rawValue, context: options.context, readBytesPerSecond: bandwidth))
        return ShapeReport(
            shape: shape, weights: weights, context: options.context, runs: runCount, card: measured,
            benchmark: benchmark, readBytesPerSecond: bandwidth
        ).outcome
    }

    /// The kernels of `--kernels`.
    func measureKernels(_ console: Console) throws -> Outcome {
        let file = try results.file(columns: KernelBenchmark.recordColumns)
        let card = try Card(engine.place.device.index, logger: Logger(label: "crumb.bench"))
        let shape = random.shape ?? .llama2_7b
        console.show(Console.Progress(label: "read bandwidth", fraction: 0))
        let bandwidth = try DeviceBandwidth.bytesPerSecond(library: card.library)
        console.show(Console.Progress(label: "random weights", fraction: 0.02))
        let gpu = try KernelTimer.decoder(
            { try shape.configuration(layers: $0) }, library: card.library, blas: card.blas)
        var options = KernelBenchmark.Options(timer: KernelTimerOptions(runs: runCount))
        if let tokens { options.tokens = tokens.counts }
        let benchmark = try KernelBenchmark.measure(gpu, readBytesPerSecond: bandwidth, options: options) {
            next, fraction in
            console.show(Console.Progress(label: next, fraction: 0.05 + 0.95 * fraction))
        }
        let measured = MeasuredCard(info: card.device.info, release: (try? NVML.load())?.driverRelease)
        try file?.append(benchmark.records(results.measured(on: measured), shape: shape.rawValue))
        return KernelReport(
            shape: shape, card: measured, runs: runCount, benchmark: benchmark
        ).outcome
    }

    /// The packed products of `--kernels --ablation`.
    func measureAblation(_ console: Console) throws -> Outcome {
        let file = try results.file(columns: AblationBenchmark.recordColumns)
        let card = try Card(engine.place.device.index, logger: Logger(label: "crumb.bench"))
        let shape = random.shape ?? .llama2_7b
        console.show(Console.Progress(label: "random weights", fraction: 0))
        func decoder(_ options: RandomModelOptions) throws -> GPUDecoder {
            try KernelTimer.decoder(
                { try shape.configuration(layers: $0) }, options, library: card.library, blas: card.blas)
        }
        let benchmark = try AblationBenchmark.measure(
            decoder(RandomModelOptions()), withoutOutliers: decoder(RandomModelOptions(outliersPerTile: 0)),
            tokens: tokens?.counts ?? [1], timer: KernelTimerOptions(runs: runCount)
        ) { next, fraction in
            console.show(Console.Progress(label: next, fraction: 0.05 + 0.95 * fraction))
        }
        let measured = MeasuredCard(info: card.device.info, release: (try? NVML.load())?.driverRelease)
        try file?.append(benchmark.records(results.measured(on: measured), shape: shape.rawValue))
        return AblationReport(
            shape: shape, card: measured, runs: runCount, benchmark: benchmark
        ).outcome
    }
}
