import CrumbABI
import CrumbCUDA
import CrumbModel
import CrumbPacked

/// The products of packed codes: packed_product_mM, `packedWidth` tokens a launch, or packed_matmul_mM for all tokens of a
/// pass.
extension GPUDecoder {
    /// output fp32 [M][N] = W norm(stream) + bias, matrices side by side.
    func packedStore(
        _ parts: [DevicePacked], _ linear: DeviceLinear, _ folded: FoldedNorm, into output: UInt64, _ pass: Pass
    ) throws(CUDAError) {
        for rows in launches(folded.width, pass) {
            var product = normedProduct(.store, parts, bias: linear.bias, folded, rows, pass)
            product.output = output + UInt64(4 * rows.lowerBound * linear.rows)
            product.output_stride = UInt32(linear.rows)
            try launch(product, rows: rows.count, width: folded.width, pass)
        }
    }

    /// target = silu(gate) x up of the normalised stream, each feature at its place.
    func packedSilu(
        _ parts: [DevicePacked], bias: UInt64, _ folded: FoldedNorm, into target: InputPlace, _ pass: Pass
    ) throws(CUDAError) {
        for rows in launches(folded.width, pass) {
            var product = normedProduct(.silu, parts, bias: bias, folded, rows, pass)
            product.next_input = target.row(rows.lowerBound)
            product.next_places = target.places
            product.next_positions = UInt32(target.stride)
            product.next_width = UInt32(target.width)
            try launch(product, rows: rows.count, width: folded.width, pass)
        }
    }

    /// stream += W input + bias, and the folded input of the next products.
    func packedResidual(
        _ part: DevicePacked, _ linear: DeviceLinear, from input: InputPlace, _ folded: inout FoldedNorm?, _ pass: Pass
    ) throws(CUDAError) {
        let hidden = linear.rows
        for rows in launches(input.width, pass) {
            var product = PackedLaunch.product(.residual, [part], bias: linear.bias)
            product.positions = UInt32(input.stride)
            product.columns = UInt32(linear.columns)
            product.input = input.row(rows.lowerBound)
            product.output = pass.workspace.stream + UInt64(4 * rows.lowerBound * hidden)
            product.output_stride = UInt32(hidden)
            if let next = folded {
                product.next_input = next.input.row(rows.lowerBound)
                product.next_positions = UInt32(next.input.stride)
                product.next_width = UInt32(next.width)
                product.next_places = next.input.places
                product.next_norm = next.norm
                product.next_squares = next.squares + UInt64(rows.lowerBound * pass.workspace.squaresStride)
            }
            // Not in one line: where nothing follows, the right side of an optional assignment would not be run.
            let sums = try launch(product, rows: rows.count, width: input.width, pass)
            folded?.squareCount = sums
        }
    }

    /// Rows of each launch of products with an input of this width.
    func launches(_ width: Int, _ pass: Pass) -> [Range<Int>] {
        width > 0 ? [0..<pass.rows] : pass.chunks(of: packedWidth)
    }

    private func normedProduct(
        _ kind: PackedKind, _ parts: [DevicePacked], bias: UInt64, _ folded: FoldedNorm, _ rows: Range<Int>,
        _ pass: Pass
    ) -> crumb_packed_product {
        var product = PackedLaunch.product(kind, parts, bias: bias)
        product.positions = UInt32(folded.input.stride)
        product.columns = UInt32(configuration.hiddenSize)
        product.input = folded.input.row(rows.lowerBound)
        product.squares = folded.squares + UInt64(rows.lowerBound * pass.workspace.squaresStride)
        product.square_count = UInt32(folded.squareCount)
        return product
    }

    /// - Returns: How many sums of squares a residual product leaves for each token.
    @discardableResult
    private func launch(
        _ product: crumb_packed_product, rows: Int, width: Int, _ pass: Pass
    ) throws(CUDAError) -> Int {
        if width > 0 { return try launchMatmul(product, rows: rows, pass) }
        guard let packed = kernels.packed else { preconditionFailure("a packed product without its kernel") }
        var arguments = crumb_packed_args()
        arguments.product = product
        arguments.tokens = UInt32(rows)
        arguments.epsilon = configuration.rmsNormEps
        let launch = PackedLaunch(arguments, on: device.info, window: copyWindow)
        try packed.kernel(tokens: rows).launch(
            grid: LaunchExtent(launch.blocks), block: LaunchExtent(launch.threads), sharedBytes: launch.sharedBytes,
            stream: stream, arguments: launch.arguments, programmatic: true)
        return launch.blocks
    }

    private func launchMatmul(_ product: crumb_packed_product, rows: Int, _ pass: Pass) throws(CUDAError) -> Int {
        guard let launch = MatmulLaunch(product, tokens: rows, epsilon: configuration.rmsNormEps, on: device.info),
            let matmul = launch.usesRoles ? kernels.matmulRoles : kernels.matmul
        else { preconditionFailure("a packed product of \(rows) tokens without its kernel") }
        var arguments = launch.arguments
        arguments.partials = pass.workspace.matmulPartials
        arguments.arrivals = pass.workspace.matmulArrivals
        try matmul.kernel(tokens: launch.width).launch(
            grid: LaunchExtent(launch.blocks), block: LaunchExtent(launch.threads), sharedBytes: launch.sharedBytes,
            stream: stream, arguments: arguments, programmatic: true)
        return Int(product.parts.0.shape.row_tiles)
    }
}
