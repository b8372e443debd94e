import CrumbABI
import CrumbCUDA
import CrumbModel

/// The order of things in a pass: embedding, blocks. The residual stream stays in the workspace.
extension GPUDecoder {
    /// What a packed product reads of the residual stream: the norm is folded into both sides of the product.
    struct FoldedNorm {
        /// Stream x norm's weight.
        let input: InputPlace
        /// fp32 [K].
        let norm: UInt64
        /// Sums of squares of the stream, see `Workspace.squares`.
        let squares: UInt64
        /// How many there are of each token.
        var squareCount = 0

        var width: Int { input.width }
    }

    /// Where a product's input is to be written: fp16, as crumb_input_index() has it.
    struct InputPlace {
        let address: UInt64
        /// Numbers of one token.
        let stride: Int
        /// u16 [K], or 0 for the source's order.
        let places: UInt64
        /// Tokens of a wide input, else 0.
        var width = 0

        /// The address of the tokens from `row` on; of a wide input all are one piece.
        func row(_ row: Int) -> UInt64 { width > 0 ? address : address + UInt64(2 * row * stride) }
    }

    /// Puts everything before the final norm into the stream.
    func encode(_ pass: Pass) throws(CUDAError) {
        try embed(pass)
        var folded = foldedNorm(of: 0, .queryKeyValue, pass)
        try foldStream(into: &folded, pass)
        for index in weights.layers.indices {
            let layer = weights.layers[index]
            let hasBiasLeft = try project(
                layer.queryKeyValue, norm: layer.inputNorm, folded, pass, into: pass.workspace.queriesKeysValues)
            let attended = inputPlace(layer.attentionOutput, .attentionOutput, pass)
            try attend(
                index, pass, bias: hasBiasLeft ? layer.queryKeyValue.bias : 0, into: attended,
                order: layer.attentionOutput.order)
            folded = foldedNorm(of: index, .gateUp, pass)
            try addToStream(layer.attentionOutput, .attentionOutput, from: attended, &folded, pass)
            let activation = inputPlace(layer.down, .down, pass)
            try activate(layer, folded, into: activation, pass)
            folded = foldedNorm(of: index + 1, .queryKeyValue, pass)
            try addToStream(layer.down, .down, from: activation, &folded, pass)
        }
    }

    func embed(_ pass: Pass) throws(CUDAError) {
        let table = weights.embedding
        let threads = Int(CRUMB_EMBED_THREADS)
        let blocks = (table.columns + 4 * threads - 1) / (4 * threads)
        // The grid's y extent ends at 65535, as do passes.
        try kernels.embed.launch(
            grid: LaunchExtent(blocks, pass.rows), block: LaunchExtent(threads), stream: stream,
            arguments: crumb_embed_args(
                tokens: pass.tokens, table: table.codes, scales: table.scales, output: pass.workspace.stream,
                storage: table.storage, columns: UInt32(table.columns), vocabulary: UInt32(table.rows), reserved: 0))
    }

    /// What the products of `role` in a layer want of the stream; nil where they are no packed ones, or no layer is left.
    func foldedNorm(of index: Int, _ role: InputRole, _ pass: Pass) -> FoldedNorm? {
        guard index < weights.layers.count else { return nil }
        let layer = weights.layers[index]
        guard let order = layer[role].order, let width = inputWidth(layer[role], pass) else { return nil }
        let isFirst = role == .queryKeyValue
        return FoldedNorm(
            input: packedInput(role, order, width: width, pass),
            norm: isFirst ? layer.inputNorm : layer.postAttentionNorm,
            squares: pass.workspace.squares[isFirst ? 0 : 1])
    }

    /// Tokens of the input of a product from packed codes, 0 where it is not wide; nil for other products.
    private func inputWidth(_ linear: DeviceLinear, _ pass: Pass) -> Int? {
        switch route(linear, rows: pass.rows) {
        case .packed: 0
        case .wide(let width): width
        case .dequantized, .matvec, .library, nil: nil
        }
    }

    private func packedInput(_ role: InputRole, _ order: DeviceOrder, width: Int, _ pass: Pass) -> InputPlace {
        InputPlace(
            address: pass.workspace.input(role, order, width: width), stride: order.positions,
            places: order.places, width: width)
    }

    /// Makes the folded input from the stream, where no packed product did.
    func foldStream(into folded: inout FoldedNorm?, _ pass: Pass) throws(CUDAError) {
        guard var target = folded else { return }
        let hidden = configuration.hiddenSize
        for rows in launches(target.width, pass) {
            try kernels.streamInput.launch(
                grid: LaunchExtent(rows.count), block: LaunchExtent(Int(CRUMB_NORM_THREADS)), stream: stream,
                arguments: crumb_stream_input_args(
                    stream: pass.workspace.stream + UInt64(4 * rows.lowerBound * hidden), norm: target.norm,
                    places: target.input.places, next_input: target.input.row(rows.lowerBound),
                    squares: target.squares + UInt64(rows.lowerBound * pass.workspace.squaresStride),
                    columns: UInt32(hidden), next_positions: UInt32(target.input.stride),
                    next_width: UInt32(target.width), tokens: UInt32(rows.count)),
                programmatic: true)
        }
        target.squareCount = 1
        folded = target
    }

    /// Where the input of o or down goes.
    func inputPlace(_ linear: DeviceLinear, _ role: InputRole, _ pass: Pass) -> InputPlace {
        let common = role == .down ? pass.workspace.activation : pass.workspace.attended
        guard let order = linear.order else { return InputPlace(address: common, stride: linear.columns, places: 0) }
        guard let width = inputWidth(linear, pass) else {
            return InputPlace(address: common, stride: order.positions, places: order.places)
        }
        return packedInput(role, order, width: width, pass)
    }

    /// gate, up and silu(gate) x up, in the order of down.
    private func activate(
        _ layer: DeviceLayer, _ folded: FoldedNorm?, into target: InputPlace, _ pass: Pass
    ) throws(CUDAError) {
        if try activatePacked(layer, folded, into: target, pass) { return }
        let hasBiasLeft = try project(
            layer.gateUp, norm: layer.postAttentionNorm, nil, pass, into: pass.workspace.gateUp)
        try multiplySilu(layer, bias: hasBiasLeft ? layer.gateUp.bias : 0, into: target, pass)
    }

    /// All of `activate` in one product of packed codes.
    ///
    /// - Returns: false where there is none.
    func activatePacked(
        _ layer: DeviceLayer, _ folded: FoldedNorm?, into target: InputPlace, _ pass: Pass
    ) throws(CUDAError) -> Bool {
        guard case .packed(let parts, _) = layer.gateUp.storage, let folded else { return false }
        try packedSilu(parts, bias: layer.gateUp.bias, folded, into: target, pass)
        return true
    }

    /// target = silu(gate + bias) x (up + bias) of the workspace's products.
    func multiplySilu(
        _ layer: DeviceLayer, bias: UInt64, into target: InputPlace, _ pass: Pass
    ) throws(CUDAError) {
        let features = configuration.intermediateSize
        try kernels.siluMultiply.launch(
            grid: LaunchExtent(pass.rows), block: LaunchExtent(Int(CRUMB_SILU_THREADS)),
            sharedBytes: StepKernels.siluSharedBytes(features), stream: stream,
            arguments: crumb_silu_multiply_args(
                gate_up: pass.workspace.gateUp, bias: bias,
                order: layer.down.order?.channels ?? 0, output: target.address, features: UInt32(features),
                positions: UInt32(target.stride), half_input: 0, reserved: 0),
            programmatic: true)
    }
}
