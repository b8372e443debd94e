import CrumbABI
import CrumbCUDA
import CrumbModel

/// Device memory of a pass of up to `rows` tokens. Addresses never change, so graphs may be recorded over it.
final class Workspace {
    let rows: Int
    /// i32 [rows] each.
    let tokens: DeviceView<Int32>
    let positions: DeviceView<Int32>
    let slots: DeviceView<Int32>
    /// fp32 [rows][hiddenSize].
    let stream: UInt64
    /// fp32 [rows][q + k + v features].
    let queriesKeysValues: UInt64
    /// fp16 [rows][query features], rotated.
    let queries: UInt64
    /// fp16 [rows][positions of any input of hiddenSize].
    let normed: UInt64
    /// fp32 [rows][2 x intermediateSize].
    let gateUp: UInt64
    /// fp32 [rows][hiddenSize]: a product whose bias is added afterwards.
    let product: UInt64
    /// fp16 inputs of o and of down, [rows][positions], for products by library.
    let attended: UInt64
    let activation: UInt64
    /// attention_decode's parts of splits, and arrivals, zero between launches.
    let partials: UInt64
    let arrivals: UInt64
    /// Sums of squares of the stream before attention, and before the MLP: for each launch of a few rows fp32
    /// [blocks][rows], the launches one behind the other.
    let squares: [UInt64]
    /// Bytes of one row's sums of squares.
    let squaresStride: Int
    /// packed_matmul's sums of groups that blocks share, and arrivals, zero between launches.
    let matmulPartials: UInt64
    let matmulArrivals: UInt64

    private let memory: DeviceBuffer<UInt8>
    private let inputs: [InputKey: UInt64]

    /// Inputs of packed products, as crumb_input_index() has them, zero at padding positions. Inputs of one role and width
    /// whose padding is the same share memory, since nothing but padding stays from one layer to the next.
    private struct InputKey: Hashable {
        let role: InputRole
        let positions: Int
        let padding: [Int]
        let width: Int
    }

    /// - Parameter stream: Zeroes the memory.
    init(
        rows: Int, _ configuration: ModelConfiguration, _ weights: DeviceWeights, limits: Limits,
        in queue: borrowing Stream
    ) throws(CUDAError) {
        self.rows = rows
        memory = try DeviceBuffer(
            count: Self.byteCount(rows: rows, configuration, weights, limits: limits), on: queue.device,
            for: "a pass of \(rows) tokens")
        try queue.fill(memory.view)
        var layout = SlabLayout(base: memory.address)
        let places = Self.places(&layout, rows, configuration, weights, limits)
        tokens = DeviceView(address: places.tokens, count: rows)
        positions = DeviceView(address: places.positions, count: rows)
        slots = DeviceView(address: places.slots, count: rows)
        stream = places.stream
        queriesKeysValues = places.queriesKeysValues
        queries = places.queries
        normed = places.normed
        gateUp = places.gateUp
        product = places.product
        attended = places.attended
        activation = places.activation
        partials = places.partials
        arrivals = places.arrivals
        squares = places.squares
        squaresStride = 4 * Self.squareCount(configuration, limits)
        matmulPartials = places.matmulPartials
        matmulArrivals = places.matmulArrivals
        inputs = places.inputs
    }

    /// Bytes of device memory for a pass of so many tokens.
    static func byteCount(
        rows: Int, _ configuration: ModelConfiguration, _ weights: DeviceWeights, limits: Limits
    ) -> Int {
        SlabLayout.byteCount { places(&$0, rows, configuration, weights, limits) }
    }

    /// The input of a packed product: where its producer writes and the product reads.
    func input(_ role: InputRole, _ order: DeviceOrder, width: Int) -> UInt64 {
        let key = InputKey(role: role, positions: order.positions, padding: order.padding, width: width)
        guard let address = inputs[key] else { preconditionFailure("an input that no layer has") }
        return address
    }

    /// What the sizes depend on besides the model.
    struct Limits {
        let multiprocessors: Int
        let hasClusters: Bool
        /// Whether packed products are made from packed codes, and whether of all tokens at once.
        let usesPacked: Bool
        let usesMatmul: Bool
    }

    private struct Places {
        var tokens, positions, slots, stream, queriesKeysValues, queries, normed, gateUp, product: UInt64
        var attended, activation, partials, arrivals, matmulPartials, matmulArrivals: UInt64
        var squares: [UInt64]
        var inputs: [InputKey: UInt64] = [:]
    }

    private static func places(
        _ layout: inout SlabLayout, _ rows: Int, _ configuration: ModelConfiguration, _ weights: DeviceWeights,
        _ limits: Limits
    ) -> Places {
        func widest(_ roles: InputRole...) -> Int {
            weights.layers.flatMap { layer in roles.map { layer[$0].positions } }.max() ?? 0
        }
        let hidden = configuration.hiddenSize
        let projected = configuration.queryFeatures + 2 * configuration.keyValueFeatures
        let heads = KVBlocks(configuration).count
        var places = Places(
            tokens: layout.reserve(rows, of: Int32.self), positions: layout.reserve(rows, of: Int32.self),
            slots: layout.reserve(rows, of: Int32.self), stream: layout.reserve(rows * hidden, of: Float.self),
            queriesKeysValues: layout.reserve(rows * projected, of: Float.self),
            queries: layout.reserve(rows * configuration.queryFeatures, of: UInt16.self),
            normed: layout.reserve(rows * max(widest(.queryKeyValue, .gateUp), hidden), of: UInt16.self),
            gateUp: layout.reserve(rows * 2 * configuration.intermediateSize, of: Float.self),
            product: layout.reserve(rows * hidden, of: Float.self),
            attended: layout.reserve(rows * widest(.attentionOutput), of: UInt16.self),
            activation: layout.reserve(rows * widest(.down), of: UInt16.self),
            partials: layout.reserve(partialCount(rows, heads, configuration.headDim, limits), of: Float.self),
            arrivals: layout.reserve(rows * heads, of: UInt32.self),
            matmulPartials: layout.reserve(
                limits.usesMatmul
                    ? MatmulLaunch.partialCount(tokens: rows, multiprocessors: limits.multiprocessors) : 0,
                of: Float.self),
            matmulArrivals: layout.reserve(limits.usesMatmul ? mostRowTiles(weights) : 0, of: UInt32.self),
            squares: (0..<2).map { _ in layout.reserve(rows * squareCount(configuration, limits), of: Float.self) })
        guard limits.usesPacked else { return places }
        let wide =
            limits.usesMatmul ? TokenFamily.matmul.widths.prefix { $0 <= TokenFamily.matmul.width(for: rows) } : []
        for layer in weights.layers {
            for role in InputRole.allCases {
                guard let order = layer[role].order else { continue }
                for width in [0] + wide {
                    let key = InputKey(
                        role: role, positions: order.positions, padding: order.padding, width: width)
                    guard places.inputs[key] == nil else { continue }
                    places.inputs[key] = layout.reserve(
                        (width > 0 ? width : rows) * order.positions, of: UInt16.self)
                }
            }
        }
        return places
    }

    /// Sums of squares of a token that a residual product may leave: one of each block, or of each row tile.
    private static func squareCount(_ configuration: ModelConfiguration, _ limits: Limits) -> Int {
        let tile = Int(CRUMB_TILE_ROWS)
        return max(limits.multiprocessors, (configuration.hiddenSize + tile - 1) / tile)
    }

    /// Of all matrices that share an input.
    private static func mostRowTiles(_ weights: DeviceWeights) -> Int {
        weights.layers.flatMap { layer in
            InputRole.allCases.map { role in
                guard case .packed(let parts, _) = layer[role].storage else { return 0 }
                return parts.reduce(0) { $0 + Int($1.shape.row_tiles) }
            }
        }.max() ?? 0
    }

    /// Floats of attention_decode's workspace for any number of tokens up to `rows` and any context.
    private static func partialCount(_ rows: Int, _ heads: Int, _ headDim: Int, _ limits: Limits) -> Int {
        (1...rows).map { tokens in
            let splits =
                [1024, 1 << 30].map { limit in
                    AttentionSplits(
                        blocks: tokens * heads, limit: limit, multiprocessors: limits.multiprocessors,
                        hasClusters: limits.hasClusters
                    ).count
                }.max() ?? 1
            guard splits > 1 else { return 0 }
            return Int(crumb_decode_partials(UInt32(tokens), UInt32(heads), UInt32(splits), UInt32(headDim)))
        }.max() ?? 0
    }
}

/// The y extent of attention_decode's grid: blocks of up to 8 query heads for each KV head.
struct KVBlocks {
    let count: Int

    init(_ configuration: ModelConfiguration) {
        let group = configuration.numAttentionHeads / configuration.numKeyValueHeads
        let most = Int(CRUMB_DECODE_HEADS)
        count = configuration.numKeyValueHeads * ((group + most - 1) / most)
    }
}
