import CrumbCUDA
import CrumbModel

/// A student beside its teacher: the divergence of their predictions, and its gradient.
struct TunePair {
    let pass: TunePass
    let teacher: DenseModel
    let student: DenseModel

    /// Runs both models over texts, as many and as long as the pass is made for. The workspace then holds the teacher's
    /// input of its head and the student's streams.
    func forward(_ texts: [[Int32]]) throws(CUDAError) {
        let (sizes, work) = (pass.sizes, pass.work)
        precondition(
            texts.count == sizes.texts && texts.allSatisfy { $0.count == sizes.length },
            "\(texts.count) texts where \(sizes.texts) of \(sizes.length) tokens belong")
        try ElementUpload.copy(texts.flatMap { $0 }, to: work.tokens, in: pass.stream)
        try teacher.embed(pass, to: work.streams)
        pass.enter(0)
        for block in teacher.blocks { try pass.forward(block, from: work.streams, to: work.streams) }
        try pass.norm(work.streams, weight: teacher.finalNorm, to: work.teacherNormed, scales: work.headScales)
        try student.forward(pass)
    }

    /// The divergence of what `forward` has left, and its gradients; see `TunePass.backward`.
    func backward(
        product: (_ layer: Int, InputRole) throws(CUDAError) -> Void,
        vector: (TunePass.Vector) throws(CUDAError) -> Void
    ) throws(CUDAError) {
        try diverge(backward: true)
        try vector(.finalNorm)
        for index in student.blocks.indices.reversed() {
            try pass.backward(
                student.blocks[index], index: index, input: input(index),
                product: { kind throws(CUDAError) in try product(index, kind) }, vector: vector)
        }
    }

    /// The divergence alone, in nats a token.
    func divergence(_ texts: [[Int32]]) throws(CUDAError) -> Double {
        try forward(texts)
        try diverge(backward: false)
        return try meanDivergence()
    }

    /// Of the last call of `backward` or `divergence`, in nats a token.
    func meanDivergence() throws(CUDAError) -> Double {
        let losses = try pass.stream.download(
            DeviceView<Float>(address: pass.work.losses, count: pass.sizes.tokens))
        return losses.reduce(0) { $0 + Double($1) } / Double(losses.count)
    }

    private func diverge(backward: Bool) throws(CUDAError) {
        try pass.divergence(
            stream: input(student.blocks.count), norm: student.finalNorm, head: student.head, teacherHead: teacher.head,
            backward: backward)
    }

    private func input(_ index: Int) -> UInt64 { pass.work.stream(index, pass.sizes) }
}
