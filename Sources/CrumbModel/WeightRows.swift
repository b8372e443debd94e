import CrumbFormats
import CrumbPacked
import CrumbTensor

/// The rows of a weight matrix as fp32 in the source's order of channels: the plain meaning of every storage.
package struct WeightRows {
    private let weight: LinearWeight
    /// A packed matrix turned back as a whole, (N, K).
    private let unpacked: [Float]

    /// Unpacks a packed matrix, which costs 4 bytes for each of its weights as long as this value lives.
    package init(_ weight: LinearWeight) {
        self.weight = weight
        guard case .packed(let matrix) = weight.storage else {
            unpacked = []
            return
        }
        guard let quantized = try? BlockUnpacker.unpack(matrix) else {
            preconditionFailure("\(weight.name) was not validated when it was loaded")
        }
        unpacked = quantized.dequantized(order: matrix.order)
    }

    /// Writes row `n`, K numbers.
    package func read(_ n: Int, into output: UnsafeMutablePointer<Float>) {
        switch weight.storage {
        case .dense(let view):
            Dequantizer.dequantizeRow(view, n, into: UnsafeMutableBufferPointer(start: output, count: view.columns))
        case .packed:
            for k in 0..<weight.columns { output[k] = unpacked[n * weight.columns + k] }
        case .grouped(let matrix):
            matrix.dequantizeRow(n, into: output)
        }
    }
}
