import CrumbCUDA
import CrumbModel

/// What decode steps or prefills took, one number for each repetition.
package struct StepTiming: Sendable {
    /// Seconds of one step (or prefill), by events around all of a repetition.
    package let deviceSeconds: [Double]
    /// Seconds of one step by the host's clock, tokens read on the host; empty where that was not measured.
    package let hostSeconds: [Double]
    /// Tokens of one step: sequences, or the prompt's.
    package let tokens: Int
    /// Bytes that one step must read: weights, keys and values in the middle of a repetition; 0 for prefill.
    package let bytes: Int

    package static func median(_ numbers: [Double]) -> Double {
        let sorted = numbers.sorted()
        guard !sorted.isEmpty else { return 0 }
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
}

extension GPUDecoder {
    /// Times recorded decode steps with the greedy choice, the host not waited for.
    ///
    /// - Parameters:
    ///   - sequences: 1 ... `stepRows`.
    ///   - context: Tokens that each sequence has before the first step of a repetition; their keys and values are zero.
    ///   - steps: Of a repetition.
    ///   - repetitions: Counted ones; one more runs first.
    /// - Throws: `ModelError` for numbers out of range; `CUDAError`.
    package func timeSteps(
        sequences: Int, context: Int, steps: Int, repetitions: Int
    ) throws -> StepTiming {
        guard (1...Self.stepRows).contains(sequences), context >= 0, steps > 0, repetitions > 0,
            context + steps <= Int(Int32.max)
        else {
            throw ModelError(
                "\(repetitions) x \(steps) steps of \(sequences) sequences at \(context) tokens cannot be timed: sequences go "
                    + "from 1 to \(Self.stepRows), steps and repetitions from 1")
        }
        let caches = try makeCaches(sequences, capacity: context + steps)
        guard let arena = caches.first?.arena else { preconditionFailure("no cache") }
        try arena.fill(in: stream)
        for cache in caches { cache.advance(by: context) }
        var device: [Double] = []
        var host: [Double] = []
        let clock = ContinuousClock()
        for repetition in 0...repetitions {
            let alone = try timeAlone(caches, arena, steps: steps)
            let start = clock.now
            guard
                let loop = try runAhead(
                    caches.map { RunAheadSequence(cache: $0, token: 1, choice: TokenChoice()) })
            else { preconditionFailure("steps of one arena that cannot be run ahead") }
            for _ in 0..<steps { _ = try loop.next() }
            try loop.stop()
            let duration = start.duration(to: clock.now).components
            for cache in caches { cache.truncate(to: context) }
            guard repetition > 0 else { continue }
            device.append(alone)
            host.append((Double(duration.seconds) + Double(duration.attoseconds) * 1e-18) / Double(steps))
        }
        let positions = sequences * (context + (steps + 1) / 2)
        return StepTiming(
            deviceSeconds: device, hostSeconds: host, tokens: sequences,
            bytes: bytesPerToken + positions * arena.positionBytes)
    }

    /// Seconds of a step when graphs are launched one behind the other and nothing is read.
    private func timeAlone(_ caches: [DeviceCache], _ arena: CacheArena, steps: Int) throws(CUDAError) -> Double {
        let memory = try choiceMemory(sequences: caches.count)
        let recorded = try stepGraph(memory, arena, sequences: caches.count, isGreedy: true)
        try copy(caches.map { _ in 1 }, to: memory.tokens)
        try copy(caches.map { Int32($0.length) }, to: memory.positions)
        try copy(caches.map { Int32($0.slot) }, to: memory.slots)
        try stream.fill(memory.steps)
        return try timed { () throws(CUDAError) in
            for _ in 0..<steps { try recorded.graph.launch(in: stream) }
        } / Double(steps)
    }

    /// Times passes of `tokens` tokens from an empty cache on, without the head.
    package func timePrefill(tokens: Int, repetitions: Int) throws -> StepTiming {
        let cache = try makeCaches(1, capacity: tokens)[0]
        let ids = (0..<tokens).map { Int32(truncatingIfNeeded: $0 &* 7919 % configuration.vocabSize) }
        var seconds: [Double] = []
        for repetition in 0...repetitions {
            cache.truncate(to: 0)
            let batch = try Batch(ids, cache: cache, logits: .none)
            let start = try Event(on: device, isTimed: true)
            let end = try Event(on: device, isTimed: true)
            try start.record(in: stream)
            try run(batch)
            try end.record(in: stream)
            try end.synchronize()
            if repetition > 0 { seconds.append(Double(try end.milliseconds(since: start)) / 1000) }
        }
        return StepTiming(deviceSeconds: seconds, hostSeconds: [], tokens: tokens, bytes: 0)
    }

    /// Seconds between events around some work.
    func timed(_ work: () throws(CUDAError) -> Void) throws(CUDAError) -> Double {
        let start = try Event(on: device, isTimed: true)
        let end = try Event(on: device, isTimed: true)
        try start.record(in: stream)
        try work()
        try end.record(in: stream)
        try end.synchronize()
        return Double(try end.milliseconds(since: start)) / 1000
    }
}
