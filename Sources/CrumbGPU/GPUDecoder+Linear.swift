import CrumbABI
import CrumbCUDA
import CrumbModel
import CrumbPacked

/// The products of a block that do not read packed codes, and the choice among all.
extension GPUDecoder {
    /// How a product is made.
    enum Route {
        /// From packed codes, a few tokens at a time.
        case packed
        /// From packed codes, all tokens at once, by a kernel for so many.
        case wide(Int)
        /// By cuBLAS, from packed codes that were turned into fp16.
        case dequantized
        /// By matvec_f16, so many tokens at a time.
        case matvec(MatvecPlan, tokens: Int)
        /// By cuBLAS.
        case library
    }

    /// nil where there is no way without cuBLAS.
    func route(_ linear: DeviceLinear, rows: Int) -> Route? {
        guard linear.order == nil else {
            if usesMatmul, rows > MatmulLaunch.productTokens(packedWidth, on: device.info), rows <= Self.stepRows {
                return .wide(MatmulLaunch.width(for: rows, on: device.info))
            }
            if packedWidth > 0, rows <= Self.packedTokens || blas == nil { return .packed }
            return blas == nil ? nil : .dequantized
        }
        if blas != nil, rows > MatvecPlan.widest { return .library }
        let fitting = MatvecPlan.fitting(
            bits: 16, rows: linear.rows, columns: linear.columns, tokens: rows,
            multiprocessors: device.info.multiprocessors, limit: matvecLimit(kernels.matvecHalf))
        // Several launches read the matrix several times; cuBLAS reads it once.
        if let fitting, blas == nil || fitting.tokens == rows { return .matvec(fitting.plan, tokens: fitting.tokens) }
        return blas == nil ? nil : .library
    }

    /// Dynamic shared memory that a block of a matvec kernel may have.
    func matvecLimit(_ kernel: Kernel) -> Int { device.info.sharedBytesPerBlock - kernel.staticSharedBytes }

    /// output fp32 [M][N] = W norm(stream) for q, k, v or gate, up.
    ///
    /// - Returns: Whether the bias is still to be added.
    func project(
        _ linear: DeviceLinear, norm: UInt64, _ folded: FoldedNorm?, _ pass: Pass, into output: UInt64
    ) throws(CUDAError) -> Bool {
        switch route(linear, rows: pass.rows) {
        case .packed, .wide, .matvec: break
        case .dequantized, .library, nil: try normalize(norm, order: linear.order, pass)
        }
        return try multiply(linear, norm: norm, folded, pass, into: output)
    }

    /// The product of `project`; what cuBLAS multiplies has been normalised.
    func multiply(
        _ linear: DeviceLinear, norm: UInt64, _ folded: FoldedNorm?, _ pass: Pass, into output: UInt64
    ) throws(CUDAError) -> Bool {
        switch route(linear, rows: pass.rows) {
        case .packed, .wide:
            guard case .packed(let parts, _) = linear.storage, let folded else {
                preconditionFailure("a packed product without its input")
            }
            try packedStore(parts, linear, folded, into: output, pass)
            return false
        case .matvec(let plan, let tokens):
            try matvec(
                linear, plan, tokens: tokens, input: pass.workspace.stream, inputBytes: 4, norm: norm, output: output,
                adding: false, pass)
            return false
        case .dequantized, .library, nil:
            try library(linear, input: pass.workspace.normed, output: output, adding: false, pass)
            return linear.bias != 0
        }
    }

    /// stream += W input + bias for o and down, and what the next packed products want of the sum.
    func addToStream(
        _ linear: DeviceLinear, _ role: InputRole, from input: InputPlace, _ folded: inout FoldedNorm?, _ pass: Pass
    ) throws(CUDAError) {
        if try !accumulate(linear, from: input, &folded, pass) { try foldStream(into: &folded, pass) }
    }

    /// The product of `addToStream`.
    ///
    /// - Returns: Whether the next packed products have what they want.
    func accumulate(
        _ linear: DeviceLinear, from input: InputPlace, _ folded: inout FoldedNorm?, _ pass: Pass
    ) throws(CUDAError) -> Bool {
        let stream = pass.workspace.stream
        switch route(linear, rows: pass.rows) {
        case .packed, .wide:
            guard case .packed(let parts, _) = linear.storage, let part = parts.first else {
                preconditionFailure("a packed product without a packed matrix")
            }
            try packedResidual(part, linear, from: input, &folded, pass)
            return true
        case .matvec(let plan, let tokens):
            try matvec(
                linear, plan, tokens: tokens, input: input.address, inputBytes: 2, norm: 0, output: stream,
                adding: true, pass)
        case .dequantized, .library, nil:
            if linear.bias == 0 {
                try library(linear, input: input.address, output: stream, adding: true, pass)
            } else {
                try library(linear, input: input.address, output: pass.workspace.product, adding: false, pass)
                try addProduct(bias: linear.bias, columns: linear.rows, pass)
            }
        }
        return false
    }

    /// The stream, normalised, in the order of a product by library.
    func normalize(_ norm: UInt64, order: DeviceOrder?, _ pass: Pass) throws(CUDAError) {
        try normalize(
            norm, order: order, input: pass.workspace.stream, rows: pass.rows, output: pass.workspace.normed)
    }

    /// output fp16 [rows][positions] = input fp32 [rows][hiddenSize], normalised.
    func normalize(
        _ norm: UInt64, order: DeviceOrder?, input: UInt64, rows: Int, output: UInt64
    ) throws(CUDAError) {
        let hidden = configuration.hiddenSize
        try kernels.rmsnorm.launch(
            grid: LaunchExtent(rows), block: LaunchExtent(Int(CRUMB_NORM_THREADS)),
            sharedBytes: StepKernels.normSharedBytes(hidden), stream: stream,
            arguments: crumb_rmsnorm_args(
                input: input, weight: norm, order: order?.channels ?? 0, output: output, columns: UInt32(hidden),
                positions: UInt32(order?.positions ?? hidden), epsilon: configuration.rmsNormEps, reserved: 0),
            programmatic: true)
    }

    private func matvec(
        _ linear: DeviceLinear, _ plan: MatvecPlan, tokens: Int, input: UInt64, inputBytes: Int, norm: UInt64,
        output: UInt64, adding: Bool, _ pass: Pass
    ) throws(CUDAError) {
        guard case .half(let address) = linear.storage else { preconditionFailure("no fp16 matrix") }
        for rows in pass.chunks(of: tokens) {
            var arguments = crumb_matvec_args()
            arguments.weights = address
            arguments.input = input + UInt64(rows.lowerBound * linear.columns * inputBytes)
            arguments.norm = norm
            arguments.bias = linear.bias
            arguments.output = output + UInt64(4 * rows.lowerBound * linear.rows)
            arguments.rows = UInt32(linear.rows)
            arguments.columns = UInt32(linear.columns)
            arguments.tokens = UInt32(rows.count)
            arguments.k_split = UInt32(plan.split)
            arguments.epsilon = configuration.rmsNormEps
            arguments.accumulate = adding ? 1 : 0
            arguments.stages = UInt32(plan.stages)
            try kernels.matvecHalf.launch(
                grid: LaunchExtent(device.info.multiprocessors), block: LaunchExtent(plan.threads),
                sharedBytes: plan.sharedBytes, stream: stream, arguments: arguments, programmatic: true)
        }
    }

    /// output fp32 [M][N] (+)= input fp16 [M][positions] W^T by cuBLAS.
    private func library(
        _ linear: DeviceLinear, input: UInt64, output: UInt64, adding: Bool, _ pass: Pass
    ) throws(CUDAError) {
        guard let blas else { preconditionFailure("a product by cuBLAS, which is not there") }
        let positions = linear.positions
        func multiply(_ weights: UInt64, firstRow: Int, rows: Int) throws(CUDAError) {
            try blas.handle.multiply(
                CuBLAS.Matrix(address: input, type: .half, rowStride: positions),
                CuBLAS.Matrix(address: weights, type: .half, rowStride: positions),
                into: CuBLAS.Matrix(
                    address: output + UInt64(4 * firstRow), type: .float, rowStride: linear.rows),
                m: pass.rows, n: rows, k: positions, beta: adding ? 1 : 0)
        }
        switch linear.storage {
        case .half(let address):
            try multiply(address, firstRow: 0, rows: linear.rows)
        case .packed(let parts, let order):
            let limit = DequantizeSlices.rowLimit(rows: linear.rows, positions: order.positions)
            for slice in DequantizeSlices.plan(parts.map(\.shape), limit: limit) {
                try dequantize(parts, slice, positions: order.positions)
                try multiply(scratch.address, firstRow: slice.firstRow, rows: slice.rows)
            }
        }
    }

    /// A slice of packed matrices as fp16, in `scratch`.
    func dequantize(
        _ parts: [DevicePacked], _ slice: DequantizeSlices.Slice, positions: Int
    ) throws(CUDAError) {
        for run in slice.runs { try dequantize(parts[run.part], run, positions: positions) }
    }

    private func dequantize(
        _ part: DevicePacked, _ run: DequantizeSlices.Run, positions: Int
    ) throws(CUDAError) {
        let shape = part.shape
        let tiles4 = shape.fourBitChannels / Int(CRUMB_TILE4_CHANNELS)
        // A block takes 32 tiles of codes.
        let blockTiles = Int(CRUMB_OUTLIER_CHANNELS / CRUMB_TILE2_CHANNELS)
        let chunks = (tiles4 + blockTiles - 1) / blockTiles + (shape.twoBitTiles + blockTiles - 1) / blockTiles
        try kernels.dequantize.launch(
            grid: LaunchExtent(run.tiles, chunks, Int(shape.segments)),
            block: LaunchExtent(Int(CRUMB_DEQUANTIZE_THREADS)), stream: stream,
            arguments: crumb_dequantize_args(
                records: part.records, output: scratch.address + UInt64(2 * run.row * positions), shape: shape,
                first_tile: UInt32(run.firstTile)),
            programmatic: true)
    }

    /// stream += product + bias.
    private func addProduct(bias: UInt64, columns: Int, _ pass: Pass) throws(CUDAError) {
        let threads = Int(CRUMB_SILU_THREADS)
        try kernels.residualAdd.launch(
            grid: LaunchExtent((pass.rows * columns + 4 * threads - 1) / (4 * threads)), block: LaunchExtent(threads),
            stream: stream,
            arguments: crumb_residual_add_args(
                input: pass.workspace.product, bias: bias, stream: pass.workspace.stream, tokens: UInt32(pass.rows),
                columns: UInt32(columns), half_input: 0, reserved: 0),
            programmatic: true)
    }
}
