import CrumbCPU
import CrumbGPU
import CrumbModel
import CrumbThreads

extension SmallModel {
    /// The model on an emulated card and on the CPU.
    /// - Parameter generation: The card's major compute capability; 9 has kernels of its own.
    func pair(
        hasBLAS: Bool = true, generation: Int32 = 9, leavingOut: (String) -> Bool = { _ in false }
    ) throws -> ModelPair {
        let card = try EmulatedCard.device { $0.capability = (generation, 0) }
        return try ModelPair(
            self, library: EmulatedCard.library(on: card, leavingOut: leavingOut),
            blas: hasBLAS ? EmulatedBLAS.table() : nil, pool: ThreadPool(threadCount: 2))
    }
}

/// fp16 activations against the reference's fp32: a share of the logits' range.
let bound = ModelPair.bound

func largestDifference(_ result: [Float], _ expected: [Float]) -> Float {
    ModelPair.largestDifference(result, expected)
}

func randomTokens(_ count: Int, seed: UInt64) -> [Int32] { SmallModel.randomTokens(count, seed: seed) }
