package import CrumbModel
import CrumbTensor
import Glibc

/// The plain backend: fp32 loops in the order of the formulas, one thread, nothing clever.
///
/// It defines what the fast backends must compute. Quantized weights are turned back into fp32 and multiplied so.
package final class ReferenceBackend: Backend {
    package let name = "reference"

    package init() {}

    package func embed(_ tokens: [Int32], table: LinearWeight, into output: FloatMatrix) {
        let rows = WeightRows(table)
        for (m, token) in tokens.enumerated() {
            rows.read(Int(token), into: output.row(m))
        }
    }

    package func normalize(_ input: FloatMatrix, weight: [Float], epsilon: Float, into output: FloatMatrix) {
        for m in 0..<input.rows {
            let (x, y) = (input.row(m), output.row(m))
            var sum: Float = 0
            for k in 0..<input.columns { sum += x[k] * x[k] }
            let scale = 1 / sqrtf(sum / Float(input.columns) + epsilon)
            for k in 0..<input.columns { y[k] = x[k] * scale * weight[k] }
        }
    }

    package func linear(_ weights: [LinearWeight], _ input: FloatMatrix, into output: FloatMatrix, adding: Bool) {
        var column = 0
        for weight in weights {
            let rows = WeightRows(weight)
            var w = [Float](repeating: 0, count: weight.columns)
            for n in 0..<weight.rows {
                rows.read(n, into: &w)
                for m in 0..<input.rows {
                    let x = input.row(m)
                    var sum: Float = weight.bias?[n] ?? 0
                    for k in 0..<weight.columns { sum += w[k] * x[k] }
                    output.row(m)[column + n] = adding ? output.row(m)[column + n] + sum : sum
                }
            }
            column += weight.rows
        }
    }

    package func attention(_ step: AttentionStep, into output: FloatMatrix) {
        let (d, group) = (step.headDim, step.heads / step.keyValueHeads)
        for run in step.runs {
            let keys = CacheMatrix(run.cache, run.cache.keys(step.layer))
            let values = CacheMatrix(run.cache, run.cache.values(step.layer))
            for index in 0..<run.count {
                let position = run.start + index
                let query = step.queriesKeysValues.row(run.firstRow + index)
                let key = query + step.heads * d
                let value = key + step.keyValueHeads * d
                for head in 0..<step.heads + step.keyValueHeads {
                    rotate(query + head * d, position: position, step.rotary)
                }
                for i in 0..<step.keyValueHeads * d {
                    keys[position, i] = key[i]
                    values[position, i] = value[i]
                }
                let visible = step.firstVisible(from: position)...position
                for head in 0..<step.heads {
                    attend(
                        query + head * d, keys, values, visible, firstColumn: head / group * d, d,
                        into: output.row(run.firstRow + index) + head * d)
                }
            }
        }
    }

    package func siluMultiply(_ gateUp: FloatMatrix, into output: FloatMatrix) {
        for m in 0..<output.rows {
            let gate = gateUp.row(m)
            let up = gate + output.columns
            for i in 0..<output.columns { output.row(m)[i] = gate[i] / (1 + expf(-gate[i])) * up[i] }
        }
    }

    /// Turns each pair (i, i + headDim / 2) of a head by the angle of its position.
    private func rotate(_ head: UnsafeMutablePointer<Float>, position: Int, _ rotary: RotaryTable) {
        let half = rotary.headDim / 2
        rotary.withRows { table in
            let cosine = table + position * rotary.headDim
            let sine = cosine + half
            for i in 0..<half {
                let (a, b) = (head[i], head[i + half])
                head[i] = a * cosine[i] - b * sine[i]
                head[i + half] = b * cosine[i] + a * sine[i]
            }
        }
    }

    /// softmax(q k^T / sqrt(d)) v over the visible positions.
    private func attend(
        _ query: UnsafePointer<Float>, _ keys: CacheMatrix, _ values: CacheMatrix, _ visible: ClosedRange<Int>,
        firstColumn: Int, _ d: Int, into output: UnsafeMutablePointer<Float>
    ) {
        var scores = visible.map { position in
            var sum: Float = 0
            for i in 0..<d { sum += query[i] * keys[position, firstColumn + i] }
            return sum / sqrtf(Float(d))
        }
        let highest = scores.reduce(-Float.infinity, max)
        for index in scores.indices { scores[index] = expf(scores[index] - highest) }
        let total = scores.reduce(0, +)
        for i in 0..<d {
            var sum: Float = 0
            for (index, position) in visible.enumerated() { sum += scores[index] * values[position, firstColumn + i] }
            output[i] = sum / total
        }
    }
}

/// The K or V matrix of a layer as fp32 numbers, whatever they are stored as.
private struct CacheMatrix {
    private let memory: UnsafeMutableRawPointer
    private let rowCount: Int
    private let element: KVCache.Element

    init(_ cache: KVCache, _ memory: UnsafeMutableRawPointer) {
        self.memory = memory
        rowCount = cache.rowCount
        element = cache.element
    }

    subscript(position: Int, column: Int) -> Float {
        get {
            let index = position * rowCount + column
            switch element {
            case .float: return memory.assumingMemoryBound(to: Float.self)[index]
            case .half: return halfValue(memory.assumingMemoryBound(to: UInt16.self)[index])
            }
        }
        nonmutating set {
            let index = position * rowCount + column
            switch element {
            case .float: memory.assumingMemoryBound(to: Float.self)[index] = newValue
            case .half: memory.assumingMemoryBound(to: UInt16.self)[index] = Float16(newValue).bitPattern
            }
        }
    }
}
