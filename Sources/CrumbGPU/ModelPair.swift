import CrumbCPU
package import CrumbCUDA
package import CrumbModel
package import CrumbThreads

/// A small model on a card and, with the same weights, on the CPU's plain backend.
package struct ModelPair {
    package let gpu: GPUDecoder
    package let cpu: DecoderForward

    /// fp16 activations against the reference's fp32: a share of the logits' range.
    package static let bound: Float = 0.004

    /// - Parameter blas: nil makes all products without cuBLAS.
    /// - Throws: `CUDAError` or `ModelError` where the card does not take the model.
    package init(_ model: SmallModel, library: KernelLibrary, blas: CuBLASTable?, pool: ThreadPool) throws {
        let sizes = try model.configuration()
        let weights = try model.weights(sizes)
        gpu = try GPUDecoder(sizes, weights: weights, library: library, blas: blas, pool: pool)
        cpu = DecoderForward(sizes, weights: weights, backend: ReferenceBackend())
    }

    /// The largest difference of logits to the CPU's, as a share of their range, over passes of the given tokens.
    package func difference(_ passes: [[Int32]], capacity: Int = 200) throws -> Float {
        let caches = (try gpu.makeCache(capacity: capacity), try cpu.makeCache(capacity: capacity))
        return try passes.map { tokens in
            let expected = try cpu.logits(for: Batch(tokens, cache: caches.1, logits: .all)).array
            return Self.largestDifference(
                try gpu.logits(for: Batch(tokens, cache: caches.0, logits: .all)).array, expected)
        }.max() ?? 0
    }

    /// Largest difference, as a share of the range of `expected`.
    package static func largestDifference(_ result: [Float], _ expected: [Float]) -> Float {
        guard result.count == expected.count, let low = expected.min(), let high = expected.max() else {
            return .infinity
        }
        let largest = zip(result, expected).reduce(Float(0)) { worst, pair in
            pair.0.isFinite ? max(worst, abs(pair.0 - pair.1)) : .infinity
        }
        return largest / (high - low)
    }

    /// Tokens that the card chooses and takes in by itself, one list for each step.
    ///
    /// - Parameter choice: Whatever it says of randomness, the same for all sequences; sequence i begins with token i.
    package func chosenTokens(sequences: Int, steps: Int, choice: TokenChoice = TokenChoice()) throws -> [[Int32]] {
        let caches = try gpu.makeCaches(sequences, capacity: steps + 1)
        let starts = caches.enumerated().map { RunAheadSequence(cache: $1, token: Int32($0), choice: choice) }
        guard let loop = try gpu.runAhead(starts) else {
            throw ModelError("\(sequences) sequences cannot be run ahead on \(gpu.device.label)")
        }
        let tokens = try (0..<steps).map { _ in try loop.next() }
        try loop.stop()
        return tokens
    }

    /// How far below the CPU's most likely token a chosen one lies at most, as a share of the logits' range.
    package func largestDistanceFromTop(_ chosen: [[Int32]]) throws -> Float {
        var worst: Float = 0
        for row in chosen.first?.indices ?? 0..<0 {
            let tokens = [Int32(row)] + chosen.map { $0[row] }
            let logits = try cpu.logits(
                for: Batch(Array(tokens.dropLast()), cache: cpu.makeCache(capacity: tokens.count), logits: .all))
            for (step, token) in tokens.dropFirst().enumerated() {
                let line = UnsafeBufferPointer(start: logits.row(step), count: logits.columns)
                guard line.indices.contains(Int(token)), let low = line.min(), let high = line.max() else {
                    return .infinity
                }
                worst = max(worst, (high - line[Int(token)]) / (high - low))
            }
        }
        return worst
    }
}

extension SmallModel {
    /// Ids of the small vocabulary.
    package static func randomTokens(_ count: Int, seed: UInt64) -> [Int32] {
        var random = RandomStream(seed: seed)
        return (0..<count).map { _ in Int32.random(in: 0..<Int32(vocabulary), using: &random) }
    }
}
