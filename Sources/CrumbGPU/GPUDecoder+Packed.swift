import CrumbABI
import CrumbCUDA
import CrumbModel
import CrumbPacked

/// The products of packed codes with few tokens: packed_matvec_*, `packedWidth` tokens a launch.
extension GPUDecoder {
    /// output fp32 [M][N] = W norm(stream) + bias, matrices side by side.
    func packedStore(
        _ parts: [DevicePacked], _ linear: DeviceLinear, _ folded: FoldedNorm, into output: UInt64, _ pass: Pass
    ) throws(CUDAError) {
        for rows in pass.chunks(of: packedWidth) {
            var arguments = normedArguments(parts, bias: linear.bias, folded, rows, pass)
            arguments.output = output + UInt64(4 * rows.lowerBound * linear.rows)
            arguments.output_stride = UInt32(linear.rows)
            try launch(.store, arguments)
        }
    }

    /// target = silu(gate) x up of the normalised stream, each feature at its place.
    func packedSilu(
        _ parts: [DevicePacked], bias: UInt64, _ folded: FoldedNorm, into target: InputPlace, _ pass: Pass
    ) throws(CUDAError) {
        for rows in pass.chunks(of: packedWidth) {
            var arguments = normedArguments(parts, bias: bias, folded, rows, pass)
            arguments.output = target.address + UInt64(2 * rows.lowerBound * target.stride)
            arguments.places = target.places
            arguments.output_stride = UInt32(target.stride)
            try launch(.silu, arguments)
        }
    }

    /// stream += W input + bias, and the folded input of the next products.
    func packedResidual(
        _ part: DevicePacked, _ linear: DeviceLinear, from input: InputPlace, _ folded: inout FoldedNorm?, _ pass: Pass
    ) throws(CUDAError) {
        let hidden = linear.rows
        for rows in pass.chunks(of: packedWidth) {
            var arguments = packedArguments([part], bias: linear.bias, rows)
            arguments.positions = UInt32(input.stride)
            arguments.columns = UInt32(linear.columns)
            arguments.input = input.address + UInt64(2 * rows.lowerBound * input.stride)
            arguments.output = pass.workspace.stream + UInt64(4 * rows.lowerBound * hidden)
            arguments.output_stride = UInt32(hidden)
            if let next = folded {
                arguments.next_input = next.input + UInt64(2 * rows.lowerBound * next.order.positions)
                arguments.next_positions = UInt32(next.order.positions)
                arguments.next_places = next.order.places
                arguments.next_norm = next.norm
                arguments.next_squares = next.squares + UInt64(rows.lowerBound * pass.workspace.squaresStride)
            }
            // Not in one line: where nothing follows, the right side of an optional assignment would not be run.
            let blocks = try launch(.residual, arguments)
            folded?.blocks = blocks
        }
    }

    private func normedArguments(
        _ parts: [DevicePacked], bias: UInt64, _ folded: FoldedNorm, _ rows: Range<Int>, _ pass: Pass
    ) -> crumb_packed_matvec_args {
        var arguments = packedArguments(parts, bias: bias, rows)
        arguments.positions = UInt32(folded.order.positions)
        arguments.columns = UInt32(configuration.hiddenSize)
        arguments.input = folded.input + UInt64(2 * rows.lowerBound * folded.order.positions)
        arguments.squares = folded.squares + UInt64(rows.lowerBound * pass.workspace.squaresStride)
        arguments.square_count = UInt32(folded.blocks)
        return arguments
    }

    /// Parts, their biases and the number of tokens.
    private func packedArguments(
        _ parts: [DevicePacked], bias: UInt64, _ rows: Range<Int>
    ) -> crumb_packed_matvec_args {
        var arguments = PackedLaunch.arguments(parts, bias: bias)
        arguments.tokens = UInt32(rows.count)
        arguments.epsilon = configuration.rmsNormEps
        return arguments
    }

    /// - Returns: The blocks of the launch.
    @discardableResult
    private func launch(
        _ epilogue: PackedKernels.Epilogue, _ arguments: crumb_packed_matvec_args
    ) throws(CUDAError) -> Int {
        guard let packed = kernels.packed else { preconditionFailure("a packed product without its kernel") }
        let launch = PackedLaunch(epilogue, arguments, multiprocessors: device.info.multiprocessors)
        try packed.kernel(epilogue, tokens: Int(arguments.tokens)).launch(
            grid: LaunchExtent(launch.blocks), block: LaunchExtent(Int(CRUMB_PACKED_THREADS)),
            sharedBytes: launch.sharedBytes, stream: stream, arguments: launch.arguments, programmatic: true)
        return launch.blocks
    }
}
