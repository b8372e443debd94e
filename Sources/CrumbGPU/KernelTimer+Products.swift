import CrumbABI
import CrumbCUDA
package import CrumbModel
import CrumbPacked

/// The matrix products, made as a pass makes them.
extension KernelTimer {
    /// One product with `rows` tokens, without the norm in front and the SiLU behind where those are kernels of their own.
    package func product(_ role: InputRole, rows: Int) throws -> KernelTiming {
        let pass = pass(rows)
        let layers = gpu.weights.layers
        let linear = layers[0][role]
        let sums = try prepareInput(of: role, pass)
        let seconds = try time(rows: rows, copies: layers.count) { piece throws(CUDAError) in
            try run(role, piece % layers.count, sums: sums, pass)
        }
        return KernelTiming(
            kernel: role.matrixName, path: gpu.routeName(linear, rows: rows), m: rows, n: linear.rows,
            k: linear.columns, seconds: seconds, bytes: linear.byteCount,
            librarySeconds: try library(n: linear.rows, k: linear.columns, rows: rows))
    }

    /// The same product with synchronous copies: a block asks for one piece of a record only when the one before it has
    /// arrived. nil where packed_product, whose copies can be made so, does not serve.
    package func synchronousProduct(_ role: InputRole, rows: Int) throws -> KernelTiming? {
        guard case .packed = gpu.route(gpu.weights.layers[0][role], rows: rows) else { return nil }
        gpu.copyWindow = .singlePiece
        defer { gpu.copyWindow = .planned }
        return try product(role, rows: rows)
    }

    private func run(_ role: InputRole, _ index: Int, sums: Int, _ pass: Pass) throws(CUDAError) {
        let layers = gpu.weights.layers
        let layer = layers[index]
        switch role {
        case .queryKeyValue:
            _ = try gpu.multiply(
                layer.queryKeyValue, norm: layer.inputNorm, folded(index, role, sums: sums, pass), pass,
                into: workspace.queriesKeysValues)
        case .attentionOutput:
            var next = gpu.foldedNorm(of: index, .gateUp, pass)
            _ = try gpu.accumulate(layer[role], from: gpu.inputPlace(layer[role], role, pass), &next, pass)
        case .gateUp:
            let target = gpu.inputPlace(layer.down, .down, pass)
            let folded = folded(index, role, sums: sums, pass)
            if try gpu.activatePacked(layer, folded, into: target, pass) { return }
            _ = try gpu.multiply(
                layer.gateUp, norm: layer.postAttentionNorm, folded, pass, into: workspace.gateUp)
        case .down:
            var next = gpu.foldedNorm(of: (index + 1) % layers.count, .queryKeyValue, pass)
            _ = try gpu.accumulate(layer[role], from: gpu.inputPlace(layer[role], role, pass), &next, pass)
        }
    }

    /// The input of a product that reads the stream, as the product before it in a pass leaves it.
    ///
    /// - Returns: How many sums of squares there are of each token.
    private func prepareInput(of role: InputRole, _ pass: Pass) throws(CUDAError) -> Int {
        guard role == .queryKeyValue || role == .gateUp else { return 0 }
        let before: InputRole = role == .queryKeyValue ? .down : .attentionOutput
        let linear = gpu.weights.layers[0][before]
        var folded = gpu.foldedNorm(of: 0, role, pass)
        try gpu.foldStream(into: &folded, pass)
        _ = try gpu.accumulate(linear, from: gpu.inputPlace(linear, before, pass), &folded, pass)
        return folded?.squareCount ?? 0
    }

    private func folded(
        _ index: Int, _ role: InputRole, sums: Int, _ pass: Pass
    ) -> GPUDecoder.FoldedNorm? {
        var folded = gpu.foldedNorm(of: index, role, pass)
        folded?.squareCount = sums
        return folded
    }

    /// Seconds of cuBLAS for the same product of fp16 matrices; nil where there is no cuBLAS, or it is not wanted.
    func library(n: Int, k: Int, rows: Int) throws(CUDAError) -> Double? {
        guard let blas = gpu.blas, options.comparesLibrary else { return nil }
        let copies = copies(of: 2 * n * k)
        precondition(copies * n * k <= halves.count, "fp16 matrices of N \(n), K \(k) that there is no room for")
        return try time(rows: rows, copies: copies) { piece throws(CUDAError) in
            try blas.handle.multiply(
                CuBLAS.Matrix(address: halfInput.address, type: .half, rowStride: k),
                CuBLAS.Matrix(
                    address: halves.address + UInt64(2 * n * k * (piece % copies)), type: .half, rowStride: k),
                into: CuBLAS.Matrix(address: halfOutput.address, type: .half, rowStride: n), m: rows, n: n, k: k)
        }
    }

    /// Turning the packed codes of a product into fp16, all slices one behind the other; nil where no product is made so.
    package func dequantize(_ role: InputRole) throws -> KernelTiming? {
        let layers = gpu.weights.layers
        let linear = layers[0][role]
        guard case .dequantized = gpu.route(linear, rows: mostTokens) else { return nil }
        let positions = linear.positions
        let limit = DequantizeSlices.rowLimit(rows: linear.rows, positions: positions)
        let seconds = try time(rows: mostTokens, copies: layers.count) { piece throws(CUDAError) in
            guard case .packed(let parts, _) = layers[piece % layers.count][role].storage else { return }
            for slice in DequantizeSlices.plan(parts.map(\.shape), limit: limit) {
                try gpu.dequantize(parts, slice, positions: positions)
            }
        }
        return KernelTiming(
            kernel: "dequantize \(role.matrixName)", path: gpu.kernels.dequantize.name, m: nil, n: linear.rows,
            k: linear.columns, seconds: seconds, bytes: linear.byteCount, librarySeconds: nil)
    }
}

extension InputRole {
    /// The matrices that read this input.
    package var matrixName: String {
        switch self {
        case .queryKeyValue: "qkv"
        case .attentionOutput: "o"
        case .gateUp: "gate+up"
        case .down: "down"
        }
    }
}

extension GPUDecoder {
    package var hasLibrary: Bool { blas != nil }

    /// How a product with so many tokens is made, in a few words: "packed x 2" are two launches.
    package func routeName(_ linear: DeviceLinear, rows: Int) -> String {
        func times(_ name: String, _ width: Int) -> String {
            rows <= width ? name : "\(name) x \((rows + width - 1) / width)"
        }
        switch route(linear, rows: rows) {
        case .packed: return times("packed", packedWidth)
        case .wide(let width): return "packed m\(width)"
        case .matvec(_, let tokens): return times("matvec_f16", tokens)
        case .dequantized: return "dequantize + cuBLAS"
        case .library: return "cuBLAS"
        case nil: return "none"
        }
    }
}
