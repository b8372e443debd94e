package import CrumbABI
package import CrumbModel
import CrumbPacked
package import CrumbQuant

/// How the bits are spread over a model's matrices: the shape of each, under one average.
package struct BudgetPlan: Sendable {
    /// Shapes by layer and projection.
    package private(set) var shapes: [[Projection: crumb_packed_shape]]
    /// Weights of all linear layers.
    package let linearWeights: Int
    /// Bytes of all linear layers: records and orders.
    package var linearBytes: Int { shapes.reduce(0) { $0 + bytes($1) } }
    private let storage: StorageVariant
    package var bitsPerWeight: Double { Double(linearBytes) * 8 / Double(linearWeights) }

    /// Matrices that have the same 4-bit channels, so that a GPU can take their row tiles in turns.
    private static let widenedTogether: [[Projection]] = [[.q, .k], [.v], [.o], [.gate, .up], [.down]]

    /// Shapes for every matrix of `configuration`.
    ///
    /// - Parameters:
    ///   - bits: Most bits per weight on average over the model; not looked at where `fourBitShare` is given.
    ///   - fourBitShare: Share of 4-bit channels in every matrix, rounded to the format's steps.
    ///   - channelCosts: What errors as large as a channel's weights cost, by layer and projection: where it is known, the
    ///     channels that save most for their bytes have 4 bits; else each kind of matrix gets its share.
    ///   - storage: What bytes are counted by.
    /// - Throws: `PipelineError` when a matrix does not fit the format or the budget is below what 2 bits take.
    package init(
        _ configuration: ModelConfiguration, bits: Double, fourBitShare: Double?, outliersPerTile: Int,
        channelCosts: [[Projection: [Float]]]? = nil, storage: StorageVariant = StorageVariant()
    ) throws {
        self.storage = storage
        var grid = try Projection.allCases.map { projection in
            try Steps(projection, configuration, outliersPerTile: outliersPerTile, storage: storage)
        }
        linearWeights =
            configuration.numHiddenLayers * grid.reduce(0) { $0 + $1.rows * $1.columns }
        if let fourBitShare {
            for index in grid.indices { grid[index].setShare(fourBitShare) }
            let layer = try Self.layer(grid)
            shapes = Array(repeating: layer, count: configuration.numHiddenLayers)
            return
        }
        var layers = (0..<configuration.numHiddenLayers).map { layer in
            grid.map { steps in
                var steps = steps
                steps.setCosts(channelCosts?[layer][steps.projection])
                return steps
            }
        }
        shapes = try layers.map(Self.layer)
        let budget = Int(bits * Double(linearWeights) / 8)
        var spent = linearBytes
        guard spent <= budget else {
            throw PipelineError(
                "2-bit codes alone take \(spent) bytes, over the \(budget) that \(bits) bits per weight allow; "
                    + "raise --bits or lower --outliers")
        }
        // Always widen the matrix that saves most for its bytes, or is furthest behind its due share; the middle layers
        // come last.
        let widened = Self.widenedTogether.map { group in grid.indices.filter { group.contains(grid[$0].projection) } }
        func urgency(_ layer: Int, _ matrices: [Int]) -> Double { Self.urgency(matrices.map { layers[layer][$0] }) }
        var open = layers.indices.flatMap { layer in
            widened.map { (layer: layer, matrices: $0, urgency: urgency(layer, $0)) }
        }
        let middle = Double(configuration.numHiddenLayers - 1) / 2
        while !open.isEmpty {
            let next = open.indices.max { left, right in
                if open[left].urgency != open[right].urgency { return open[left].urgency < open[right].urgency }
                return abs(Double(open[left].layer) - middle) < abs(Double(open[right].layer) - middle)
            }
            guard let next else { break }
            let (layer, matrices, _) = open[next]
            let costs = matrices.compactMap { layers[layer][$0].costOfStep }
            let cost = costs.reduce(0, +)
            guard costs.count == matrices.count, spent + cost <= budget else {
                open.remove(at: next)
                continue
            }
            for index in matrices { layers[layer][index].step() }
            open[next].urgency = urgency(layer, matrices)
            spent += cost
        }
        shapes = try layers.map(Self.layer)
    }

    /// How much the next step of matrices that are widened together is wanted.
    private static func urgency(_ matrices: [Steps]) -> Double {
        let savings = matrices.compactMap(\.savingOfStep)
        guard savings.count == matrices.count else { return -matrices[0].dueShare }
        return savings.reduce(0, +) / Double(max(matrices.compactMap(\.costOfStep).reduce(0, +), 1))
    }

    /// Bytes of a layer's records and orders.
    private func bytes(_ layer: [Projection: crumb_packed_shape]) -> Int {
        InputRole.allCases.reduce(0) { sum, role in
            role.projections.reduce(sum) { $0 + (layer[$1].map(storage.byteCount) ?? 0) }
                + (layer[role.projections[0]]?.orderCount ?? 0) * 2
        }
    }

    private static func layer(_ grid: [Steps]) throws -> [Projection: crumb_packed_shape] {
        Dictionary(uniqueKeysWithValues: try grid.map { ($0.projection, try $0.shape()) })
    }
}

/// The 4-bit shares that one matrix can have.
private struct Steps {
    let projection: Projection
    let rows: Int
    let columns: Int
    let segments: Int
    let outliersPerTile: Int
    let storage: StorageVariant
    private var fourBitChannels: Int
    /// Costs of the first n channels of every segment, the costliest first.
    private var costs: [Double] = []

    /// How much of the 4-bit channels a kind of matrix gets compared to the others: v is small and its errors are large,
    /// o and down write to the residual stream. A first choice; only its result as a whole was measured (README).
    private var weight: Double {
        switch projection {
        case .v: 2
        case .o, .down: 1.15
        case .q, .k, .gate, .up: 1
        }
    }

    init(_ projection: Projection, _ configuration: ModelConfiguration, outliersPerTile: Int, storage: StorageVariant)
        throws
    {
        self.projection = projection
        self.storage = storage
        (rows, columns) = configuration.shape(of: projection)
        self.outliersPerTile = outliersPerTile
        segments = configuration.packedSegments(of: projection)
        fourBitChannels = 0
        _ = try shape()
    }

    /// The smallest number of 4-bit channels above none, and the step to the next: padding stays at its least.
    private var first: Int { rounded % 64 == 0 ? 64 : 32 }
    private var rounded: Int { (columns / segments + 31) / 32 * 32 }

    mutating func setShare(_ share: Double) {
        let wanted = share * Double(rounded)
        let steps = ((wanted - Double(first)) / 64).rounded(.toNearestOrAwayFromZero)
        fourBitChannels = wanted < Double(first) / 2 ? 0 : min(first + max(Int(steps), 0) * 64, rounded)
    }

    /// The share after the next step, in units of what this kind of matrix is due.
    var dueShare: Double { Double(next) / Double(rounded) / weight }
    private var next: Int { fourBitChannels == 0 ? first : fourBitChannels + 64 }

    /// Bytes the next step adds, or nil where all channels have 4 bits already.
    var costOfStep: Int? {
        guard next <= rounded, let now = try? shape(), let then = try? shape(fourBit: next) else { return nil }
        return storage.byteCount(then) - storage.byteCount(now) + 2 * (then.orderCount - now.orderCount)
    }

    /// - Parameter channels: Cost of each input channel.
    mutating func setCosts(_ channels: [Float]?) {
        guard let channels else { return }
        let width = columns / segments
        let sorted = (0..<segments).map { segment in
            channels[segment * width..<(segment + 1) * width].sorted(by: >)
        }
        costs = [0]
        for index in 0..<rounded {
            costs.append(costs[index] + sorted.reduce(0) { $0 + (index < width ? Double($1[index]) : 0) })
        }
    }

    /// What the next step saves, in units of what 2 bits cost; nil where that is not known, or all have 4 bits.
    var savingOfStep: Double? {
        guard !costs.isEmpty, next < costs.count else { return nil }
        return costs[next] - costs[fourBitChannels]
    }

    mutating func step() { fourBitChannels = next }

    func shape(fourBit: Int? = nil) throws -> crumb_packed_shape {
        guard
            let shape = crumb_packed_shape(
                rows: rows, columns: columns, segments: segments, fourBitChannels: fourBit ?? fourBitChannels,
                outliersPerTile: outliersPerTile)
        else {
            throw PipelineError(
                "\(projection.name) is \(rows) x \(columns), which the packed format cannot hold (at most 65534 inputs)"
            )
        }
        return shape
    }
}
