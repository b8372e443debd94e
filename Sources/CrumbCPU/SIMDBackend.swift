package import CrumbModel
import CrumbSIMD
package import CrumbThreads

/// The fast backend: C kernels for the machine's instruction set, spread over a pool of threads.
///
/// Few tokens go through matrix-vector kernels that read the stored weights directly and round a quantized matrix's
/// input to int8; many go through fp32 products on weights expanded tile by tile. Scratch memory is kept between calls.
/// Results do not depend on the number of threads: every output is computed by one job, in one order.
package final class SIMDBackend: Backend {
    let workers: Workers
    /// Inputs prepared for the matrix-vector kernels, or slabs of the products.
    let inputs = ScratchMemory()
    let attentionScratch = ScratchMemory()

    package init(pool: ThreadPool) { workers = Workers(pool) }

    package var name: String {
        switch crumb_simd_level() {
        case CRUMB_AVX512: "avx512"
        case CRUMB_AVX2: "avx2"
        default: "portable"
        }
    }

    package func embed(_ tokens: [Int32], table: LinearWeight, into output: FloatMatrix) {
        let rows = WeightRows(table)
        forEachRow(tokens.count, work: 8 * output.columns) { m in rows.read(Int(tokens[m]), into: output.row(m)) }
    }

    package func normalize(_ input: FloatMatrix, weight: [Float], epsilon: Float, into output: FloatMatrix) {
        weight.withUnsafeBufferPointer { weight in
            guard let weight = weight.baseAddress else { return }
            forEachRow(input.rows, work: input.columns) { m in
                crumb_rmsnorm(input.row(m), weight, input.columns, epsilon, output.row(m))
            }
        }
    }

    package func siluMultiply(_ gateUp: FloatMatrix, into output: FloatMatrix) {
        forEachRow(output.rows, work: 4 * output.columns) { m in
            let gate = gateUp.row(m)
            crumb_silu_multiply(gate, gate + output.columns, output.columns, output.row(m))
        }
    }

    /// Calls `body` for each of so many rows: in parallel where they are worth it. `work` is about the numbers that a
    /// row's work takes to read.
    func forEachRow(_ rows: Int, work: Int, _ body: (Int) -> Void) {
        // A section costs some microseconds, in which a thread reads as many thousand numbers.
        guard rows > 1, rows * work > 1 << 15 else {
            for m in 0..<rows { body(m) }
            return
        }
        let jobs = min(rows, 4 * workers.count)
        workers.run(jobs: jobs) { job in
            for m in rows * job / jobs..<rows * (job + 1) / jobs { body(m) }
        }
    }
}
