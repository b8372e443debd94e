import CrumbCUDA
import CrumbEngine
import CrumbGPU

extension SpeedBenchmark {
    /// The same tests on a GPU: steps with the greedy choice until their tokens are on the host, prompts by the card's
    /// own clock and without the head.
    static func measure(
        _ gpu: GPUDecoder, threads: Int, options: Options,
        progress: (_ next: String, _ fraction: Double) throws -> Void
    ) throws -> SpeedBenchmark {
        try progress("read bandwidth", 0)
        let bandwidth = try DeviceBandwidth.bytesPerSecond(library: gpu.library, bytes: options.bandwidthBytes)
        let placement = Placement(gpu)
        var results: [Result] = []
        func add(_ test: String, _ timing: StepTiming, _ seconds: [Double], tokens: Int) {
            var speeds = RunningMean()
            // A clock that did not move tells nothing.
            for seconds in seconds { speeds.add(seconds > 0 ? Double(tokens) / seconds : 0) }
            results.append(
                Result(
                    test: test, backend: placement.backend, threads: threads, tokensPerSecond: speeds,
                    bytesPerToken: timing.bytes > 0 ? Double(timing.bytes) : nil))
        }
        if options.promptTokens > 0 {
            let test = "pp\(options.promptTokens)"
            try progress(test, 0.2)
            let timing = try gpu.timePrefill(tokens: options.promptTokens, repetitions: options.repetitions)
            add(test, timing, timing.deviceSeconds, tokens: options.promptTokens)
        }
        if options.generatedTokens > 0 {
            let test = "tg\(options.generatedTokens)"
            try progress(test, 0.6)
            let timing = try gpu.timeSteps(
                sequences: 1, context: 0, steps: options.generatedTokens, repetitions: options.repetitions)
            add(test, timing, timing.hostSeconds, tokens: 1)
        }
        return SpeedBenchmark(
            results: results, device: placement.device, isOnCard: true, readBytesPerSecond: bandwidth)
    }
}
