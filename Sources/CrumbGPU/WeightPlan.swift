import CrumbABI
import CrumbCUDA
package import CrumbModel
import CrumbPacked
import CrumbTensor

/// Where each weight of a model goes on the card, and what is copied there.
///
/// Made twice: from address 0 to know the bytes, and from the address of the memory to know the places.
package struct WeightPlan {
    /// Bytes for one place.
    package struct Item {
        package enum Source {
            /// As they lie on the host; the owner keeps them there.
            case bytes(UnsafeRawBufferPointer, owner: any AnyObject & Sendable)
            case floats([Float])
            case halfwords([UInt16])
            /// The rows of a dense matrix as fp16.
            case halves(LinearWeight)
        }

        package let address: UInt64
        package let byteCount: Int
        package let source: Source
    }

    package private(set) var items: [Item] = []
    private var layout: SlabLayout
    private var orders: [ObjectIdentifier: DeviceOrder] = [:]
    private var result: DeviceWeights?

    /// - Throws: `ModelError` for weights that the kernels have no form for.
    package init(
        _ weights: DecoderWeights, _ configuration: ModelConfiguration, base: UInt64 = 0
    ) throws(ModelError) {
        layout = SlabLayout(base: base)
        let isTied = configuration.tieWordEmbeddings
        let embedding = try table(weights.embedding, isHead: isTied)
        var layers: [DeviceLayer] = []
        for (index, layer) in weights.layers.enumerated() {
            layers.append(try self.layer(layer, window: configuration.attentionWindows[index]))
        }
        result = DeviceWeights(
            embedding: embedding, layers: layers, finalNorm: floats(weights.finalNorm),
            head: isTied ? embedding : try table(weights.head, isHead: true),
            frequencies: floats(configuration.rotaryFrequencies))
    }

    /// Bytes of device memory for all of it.
    package var byteCount: Int { layout.byteCount }

    package var weights: DeviceWeights {
        guard let result else { preconditionFailure("a plan that was not finished") }
        return result
    }

    private mutating func layer(_ layer: LayerWeights, window: Int) throws(ModelError) -> DeviceLayer {
        DeviceLayer(
            inputNorm: floats(layer.inputNorm), postAttentionNorm: floats(layer.postAttentionNorm),
            queryKeyValue: try linear(layer.queryKeyValue), attentionOutput: try linear(layer.attentionOutput),
            gateUp: try linear(layer.gateUp), down: try linear(layer.down),
            window: window == Int.max ? 0 : window)
    }

    // MARK: linear layers

    private mutating func linear(_ matrices: [LinearWeight]) throws(ModelError) -> DeviceLinear {
        let rows = matrices.reduce(0) { $0 + $1.rows }
        let bias = bias(matrices)
        guard let first = matrices.first else { preconditionFailure("a linear layer without a matrix") }
        let storage: DeviceLinear.Storage
        if case .packed(let matrix) = first.storage {
            storage = try packed(matrices, sharing: matrix)
        } else {
            storage = .half(try halves(matrices))
        }
        return DeviceLinear(storage: storage, rows: rows, columns: first.columns, bias: bias)
    }

    private mutating func packed(
        _ matrices: [LinearWeight], sharing first: PackedMatrix
    ) throws(ModelError) -> DeviceLinear.Storage {
        var parts: [DevicePacked] = []
        for weight in matrices {
            guard case .packed(let matrix) = weight.storage, matrix.order === first.order,
                matrix.shape.segments == first.shape.segments,
                matrix.shape.segment_channels == first.shape.segment_channels
            else {
                throw ModelError(
                    "\(weight.name) does not share the channel order of \(matrices[0].name), as the GPU's kernels need: "
                        + "quantize the model again, or use --device cpu")
            }
            let address = add(
                matrix.records.bytes.count, .bytes(matrix.records.bytes, owner: matrix.records.owner))
            parts.append(DevicePacked(shape: matrix.shape, records: address))
        }
        guard first.shape.orderCount <= Int(UInt16.max) + 1 else {
            throw ModelError(
                "\(matrices[0].name) has \(first.shape.orderCount) input positions, but the GPU's kernels count them in "
                    + "16 bits; use --device cpu")
        }
        return .packed(parts, order(first.order, columns: first.shape.k))
    }

    /// fp16 matrices one below the other, without a gap between them.
    private mutating func halves(_ matrices: [LinearWeight]) throws(ModelError) -> UInt64 {
        let rows = matrices.reduce(0) { $0 + $1.rows }
        let start = layout.reserve(rows * matrices[0].columns * 2)
        var address = start
        for weight in matrices {
            guard case .dense(let view) = weight.storage else {
                throw ModelError(
                    "\(weight.name) is stored in another way than \(matrices[0].name), with which it shares an input; "
                        + "the GPU's kernels need one way for both: quantize the model again, or use --device cpu")
            }
            let bytes = weight.rows * weight.columns * 2
            items.append(Item(address: address, byteCount: bytes, source: halfSource(weight, view)))
            address += UInt64(bytes)
        }
        return start
    }

    private mutating func bias(_ matrices: [LinearWeight]) -> UInt64 {
        guard matrices.contains(where: { $0.bias != nil }) else { return 0 }
        return floats(matrices.flatMap { $0.bias ?? [Float](repeating: 0, count: $0.rows) })
    }

    private mutating func order(_ order: ChannelOrder, columns: Int) -> DeviceOrder {
        if let known = orders[ObjectIdentifier(order)] { return known }
        let tables = OrderTables(order.channels, columns: columns)
        let device = DeviceOrder(
            channels: add(2 * order.channels.count, .halfwords(order.channels)),
            places: add(2 * columns, .halfwords(tables.places)), positions: order.channels.count,
            padding: tables.padding)
        orders[ObjectIdentifier(order)] = device
        return device
    }

    // MARK: embedding and head

    /// The embedding takes bf16 as it is; the head's kernels do not.
    private mutating func table(_ weight: LinearWeight, isHead: Bool) throws(ModelError) -> DeviceTable {
        switch weight.storage {
        case .grouped(let matrix):
            return DeviceTable(
                storage: UInt32(matrix.bits == 8 ? CRUMB_TABLE_Q8 : CRUMB_TABLE_Q4),
                codes: add(matrix.codes.bytes.count, .bytes(matrix.codes.bytes, owner: matrix.codes.owner)),
                scales: add(matrix.scales.bytes.count, .bytes(matrix.scales.bytes, owner: matrix.scales.owner)),
                rows: weight.rows, columns: weight.columns)
        case .dense(let view):
            let bytes = weight.rows * weight.columns * 2
            let isBrain = view.type == .bf16 && !isHead
            let source = isBrain ? Item.Source.bytes(view.bytes, owner: view.owner) : halfSource(weight, view)
            return DeviceTable(
                storage: UInt32(isBrain ? CRUMB_TABLE_BF16 : CRUMB_TABLE_F16), codes: add(bytes, source), scales: 0,
                rows: weight.rows, columns: weight.columns)
        case .packed:
            throw ModelError("\(weight.name) is packed, which only linear layers can be on the GPU; use --device cpu")
        }
    }

    private func halfSource(_ weight: LinearWeight, _ view: TensorView) -> Item.Source {
        view.type == .f16 ? .bytes(view.bytes, owner: view.owner) : .halves(weight)
    }

    // MARK: places

    private mutating func add(_ bytes: Int, _ source: Item.Source) -> UInt64 {
        let address = layout.reserve(bytes)
        items.append(Item(address: address, byteCount: bytes, source: source))
        return address
    }

    private mutating func floats(_ numbers: [Float]) -> UInt64 { add(4 * numbers.count, .floats(numbers)) }
}
