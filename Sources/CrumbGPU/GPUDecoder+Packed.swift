import CrumbABI
import CrumbCUDA
import CrumbModel
import CrumbPacked

/// The products of packed codes with few tokens: packed_product_mM, `packedWidth` tokens a launch.
extension GPUDecoder {
    /// output fp32 [M][N] = W norm(stream) + bias, matrices side by side.
    func packedStore(
        _ parts: [DevicePacked], _ linear: DeviceLinear, _ folded: FoldedNorm, into output: UInt64, _ pass: Pass
    ) throws(CUDAError) {
        for rows in pass.chunks(of: packedWidth) {
            var product = normedProduct(.store, parts, bias: linear.bias, folded, rows, pass)
            product.output = output + UInt64(4 * rows.lowerBound * linear.rows)
            product.output_stride = UInt32(linear.rows)
            try launch(product, rows: rows.count)
        }
    }

    /// target = silu(gate) x up of the normalised stream, each feature at its place.
    func packedSilu(
        _ parts: [DevicePacked], bias: UInt64, _ folded: FoldedNorm, into target: InputPlace, _ pass: Pass
    ) throws(CUDAError) {
        for rows in pass.chunks(of: packedWidth) {
            var product = normedProduct(.silu, parts, bias: bias, folded, rows, pass)
            product.output = target.address + UInt64(2 * rows.lowerBound * target.stride)
            product.places = target.places
            product.output_stride = UInt32(target.stride)
            try launch(product, rows: rows.count)
        }
    }

    /// stream += W input + bias, and the folded input of the next products.
    func packedResidual(
        _ part: DevicePacked, _ linear: DeviceLinear, from input: InputPlace, _ folded: inout FoldedNorm?, _ pass: Pass
    ) throws(CUDAError) {
        let hidden = linear.rows
        for rows in pass.chunks(of: packedWidth) {
            var product = PackedLaunch.product(.residual, [part], bias: linear.bias)
            product.positions = UInt32(input.stride)
            product.columns = UInt32(linear.columns)
            product.input = input.address + UInt64(2 * rows.lowerBound * input.stride)
            product.output = pass.workspace.stream + UInt64(4 * rows.lowerBound * hidden)
            product.output_stride = UInt32(hidden)
            if let next = folded {
                product.next_input = next.input + UInt64(2 * rows.lowerBound * next.order.positions)
                product.next_positions = UInt32(next.order.positions)
                product.next_places = next.order.places
                product.next_norm = next.norm
                product.next_squares = next.squares + UInt64(rows.lowerBound * pass.workspace.squaresStride)
            }
            // Not in one line: where nothing follows, the right side of an optional assignment would not be run.
            let blocks = try launch(product, rows: rows.count)
            folded?.blocks = blocks
        }
    }

    private func normedProduct(
        _ kind: PackedKind, _ parts: [DevicePacked], bias: UInt64, _ folded: FoldedNorm, _ rows: Range<Int>,
        _ pass: Pass
    ) -> crumb_packed_product {
        var product = PackedLaunch.product(kind, parts, bias: bias)
        product.positions = UInt32(folded.order.positions)
        product.columns = UInt32(configuration.hiddenSize)
        product.input = folded.input + UInt64(2 * rows.lowerBound * folded.order.positions)
        product.squares = folded.squares + UInt64(rows.lowerBound * pass.workspace.squaresStride)
        product.square_count = UInt32(folded.blocks)
        return product
    }

    /// - Returns: The blocks of the launch.
    @discardableResult
    private func launch(_ product: crumb_packed_product, rows: Int) throws(CUDAError) -> Int {
        guard let packed = kernels.packed else { preconditionFailure("a packed product without its kernel") }
        var arguments = crumb_packed_args()
        arguments.product = product
        arguments.tokens = UInt32(rows)
        arguments.epsilon = configuration.rmsNormEps
        let launch = PackedLaunch(arguments, on: device.info)
        try packed.kernel(tokens: rows).launch(
            grid: LaunchExtent(launch.blocks), block: LaunchExtent(launch.threads), sharedBytes: launch.sharedBytes,
            stream: stream, arguments: launch.arguments, programmatic: true)
        return launch.blocks
    }
}
