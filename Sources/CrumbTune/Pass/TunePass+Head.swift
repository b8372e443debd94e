import CrumbABI
import CrumbCUDA

/// From the last block's output through norm and head to a loss, and its gradient back to that output.
extension TunePass {
    /// Sets `work.gradient` to that of the mean divergence, and `work.sums` to the final norm's, from the student's last
    /// stream; the teacher's input of its head is in `work.teacherNormed`. Divergences go to `work.losses`.
    func divergence(
        stream last: UInt64, norm: UInt64, head: UInt64, teacherHead: UInt64, backward: Bool
    ) throws(CUDAError) {
        try throughHead(stream: last, norm: norm, head: head, backward: backward) { first, count throws(CUDAError) in
            try logits(work.teacherNormed, teacherHead, first, count, to: work.teacherLogits)
            try launch(
                kernels.divergence, blocks: count,
                crumb_tune_divergence_args(
                    student: work.studentLogits, teacher: work.teacherLogits, gradient: work.logitGradient,
                    losses: work.losses + UInt64(4 * first), vocabulary: UInt32(sizes.vocabulary),
                    weight: 1 / Float(sizes.tokens)))
        }
    }

    /// Sets `work.gradient` to that of the sum of -log q(label) over all tokens, whose labels the model draws itself by
    /// `draws`, fp32 [M].
    func likelihood(stream last: UInt64, norm: UInt64, head: UInt64, draws: UInt64) throws(CUDAError) {
        try throughHead(stream: last, norm: norm, head: head, backward: true) { first, count throws(CUDAError) in
            try launch(
                kernels.likelihood, blocks: count, rowColumns: Int(CRUMB_TUNE_THREADS) + 1,
                crumb_tune_likelihood_args(
                    logits: work.studentLogits, draws: draws + UInt64(4 * first), gradient: work.logitGradient,
                    vocabulary: UInt32(sizes.vocabulary), reserved: 0))
        }
    }

    /// - Parameter gradient: Called for some tokens at a time, first and count, with their logits in
    ///   `work.studentLogits`; leaves the gradient by them in `work.logitGradient`.
    private func throughHead(
        stream last: UInt64, norm: UInt64, head: UInt64, backward: Bool,
        gradient: (Int, Int) throws(CUDAError) -> Void
    ) throws(CUDAError) {
        let s = sizes
        try self.norm(last, weight: norm, to: work.headNormed, scales: work.headScales)
        for first in Swift.stride(from: 0, to: s.tokens, by: TuneSizes.logitRows) {
            let count = min(TuneSizes.logitRows, s.tokens - first)
            try logits(work.headNormed, head, first, count, to: work.studentLogits)
            try gradient(first, count)
            guard backward else { continue }
            try blas.multiply(
                factor(work.logitGradient, s.vocabulary), factor(head, s.hidden),
                into: factor(work.normGradient + UInt64(first * s.hidden * element.byteCount), s.hidden), m: count,
                n: s.hidden, k: s.vocabulary)
        }
        guard backward else { return }
        try stream.fill(DeviceView<Float>(address: work.gradient, count: s.tokens * s.hidden))
        try normBackward(last, weight: norm, scales: work.headScales)
    }

    private func logits(
        _ input: UInt64, _ head: UInt64, _ first: Int, _ count: Int, to output: UInt64
    ) throws(CUDAError) {
        let (hidden, vocabulary) = (sizes.hidden, sizes.vocabulary)
        try blas.multiply(
            factor(input + UInt64(first * hidden * element.byteCount), hidden),
            factor(head, hidden, transposed: true), into: factor(output, vocabulary, .float), m: count, n: vocabulary,
            k: hidden)
    }
}
