import CrumbABI
import CrumbCUDA
import CrumbModel
import CrumbPacked
import CrumbTensor

/// How the weights of a random model are stored.
package struct RandomModelOptions: Sendable {
    /// Linear layers as packed codes; else as fp16.
    package var isPacked: Bool
    /// Share of 4-bit channels in every matrix, rounded to the format's steps.
    package var fourBitShare: Double
    /// Entries for each 2-bit tile of 32 x 64 weights.
    package var outliersPerTile: Int
    /// Of embedding and head: 16, 8 or 4.
    package var headBits: Int
    package var seed: UInt64

    /// - Parameter isPacked: Its defaults come to 2.86 bits a weight on the shapes of Llama 2 7B.
    package init(
        isPacked: Bool = true, fourBitShare: Double = 0.335, outliersPerTile: Int = 4, headBits: Int? = nil,
        seed: UInt64 = 1
    ) {
        self.isPacked = isPacked
        self.fourBitShare = fourBitShare
        self.outliersPerTile = outliersPerTile
        self.headBits = headBits ?? (isPacked ? 8 : 16)
        self.seed = seed
    }
}

/// Where each weight of a random model goes on the card, and how it is made there.
struct RandomPlan {
    /// What fills one place.
    enum Fill {
        case records(crumb_random_records_args)
        case halves(crumb_random_halves_args)
        case words(crumb_random_words_args)
        case floats([Float], UInt64)
        case halfwords([UInt16], UInt64)
    }

    private(set) var fills: [Fill] = []
    private(set) var weights: DeviceWeights?
    private var layout: SlabLayout
    private var random: RandomStream
    private let options: RandomModelOptions

    var byteCount: Int { layout.byteCount }

    /// - Throws: `ModelError` where a matrix does not fit the packed format.
    init(_ sizes: ModelConfiguration, _ options: RandomModelOptions, base: UInt64 = 0) throws(ModelError) {
        self.options = options
        layout = SlabLayout(base: base)
        random = RandomStream(seed: options.seed)
        let (hidden, vocabulary) = (sizes.hiddenSize, sizes.vocabSize)
        let norm = floats([Float](repeating: 1, count: hidden))
        let embedding = table(vocabulary, hidden)
        var layers: [DeviceLayer] = []
        for index in 0..<sizes.numHiddenLayers {
            func linear(_ role: InputRole) throws(ModelError) -> DeviceLinear {
                let projections = role.projections
                let shapes = projections.map { sizes.shape(of: $0) }
                let rows = shapes.reduce(0) { $0 + $1.rows }
                let hasBias = projections.contains { sizes.biases.contains($0) }
                return DeviceLinear(
                    storage: try storage(shapes, segments: sizes.packedSegments(of: projections[0])), rows: rows,
                    columns: shapes[0].columns,
                    bias: hasBias ? floats([Float](repeating: 0, count: rows)) : 0)
            }
            let window = sizes.attentionWindows[index]
            layers.append(
                DeviceLayer(
                    inputNorm: norm, postAttentionNorm: norm, queryKeyValue: try linear(.queryKeyValue),
                    attentionOutput: try linear(.attentionOutput), gateUp: try linear(.gateUp), down: try linear(.down),
                    window: window == Int.max ? 0 : window))
        }
        weights = DeviceWeights(
            embedding: embedding, layers: layers, finalNorm: norm,
            head: sizes.tieWordEmbeddings ? embedding : table(vocabulary, hidden),
            frequencies: floats(sizes.rotaryFrequencies))
    }

    // MARK: linear layers

    private mutating func storage(
        _ shapes: [(rows: Int, columns: Int)], segments: Int
    ) throws(ModelError) -> DeviceLinear.Storage {
        let columns = shapes[0].columns
        guard options.isPacked else {
            return .half(halves(shapes.reduce(0) { $0 + $1.rows } * columns, center: 0, spread: spread(columns)))
        }
        let step = Int(CRUMB_CHANNEL_ALIGNMENT)
        let width = (columns / segments + step - 1) / step * step
        var four = Int((options.fourBitShare * Double(width) / Double(step)).rounded()) * step
        // Else the 2-bit channels would have to be padded.
        if (width - four) % Int(CRUMB_TILE2_CHANNELS) != 0 { four += four + step <= width ? step : -step }
        var parts: [DevicePacked] = []
        for (rows, _) in shapes {
            guard
                let shape = crumb_packed_shape(
                    rows: rows, columns: columns, segments: segments, fourBitChannels: four,
                    outliersPerTile: options.outliersPerTile)
            else {
                throw ModelError(
                    "a matrix of \(rows) rows and \(columns) columns with a share of \(options.fourBitShare) 4-bit "
                        + "channels and \(options.outliersPerTile) outliers a tile does not fit the packed format")
            }
            let records = layout.reserve(shape.byteCount)
            fills.append(.records(recordArguments(records, shape)))
            parts.append(DevicePacked(shape: shape, records: records))
        }
        return .packed(parts, order(parts[0].shape))
    }

    /// Row scales with which weights have a variance of 1 / K, so that activations neither grow nor vanish: a scale code
    /// plus one is 1 ... 16, its mean square 93.5; levels have a variance of 85 / 4 (4 bits) or 5 / 4 (2 bits).
    private mutating func recordArguments(
        _ records: UInt64, _ shape: crumb_packed_shape
    ) -> crumb_random_records_args {
        let k = Float(shape.k)
        return crumb_random_records_args(
            records: records, seed: random.next(), shape: shape,
            row_scale4: halfBits(1 / (k * 93.5 * 21.25).squareRoot()),
            row_scale2: halfBits(1 / (k * 93.5 * 1.25).squareRoot()), delta: halfBits(4 / k.squareRoot()), reserved: 0,
            reserved2: 0)
    }

    private mutating func order(_ shape: crumb_packed_shape) -> DeviceOrder {
        let (columns, positions) = (shape.k, shape.orderCount)
        var generator = random
        let channels =
            (0..<columns).map { UInt16($0) }.shuffled(using: &generator)
            + [UInt16](repeating: UInt16(CRUMB_PADDING_CHANNEL), count: positions - columns)
        random = generator
        let tables = OrderTables(channels, columns: columns)
        return DeviceOrder(
            channels: halfwords(channels), places: halfwords(tables.places), positions: positions,
            padding: tables.padding)
    }

    // MARK: embedding and head

    private mutating func table(_ rows: Int, _ columns: Int) -> DeviceTable {
        let count = rows * columns
        guard options.headBits < 16 else {
            return DeviceTable(
                storage: UInt32(CRUMB_TABLE_F16), codes: halves(count, center: 0, spread: spread(columns)), scales: 0,
                rows: rows, columns: columns)
        }
        let codes = layout.reserve(count * options.headBits / 8)
        fills.append(
            .words(
                crumb_random_words_args(
                    output: codes, count: UInt64(count * options.headBits / 32), seed: random.next())))
        // The standard deviation of 256 or 16 evenly spread codes is 73.9 or 4.6.
        let scale = 1 / Float(columns).squareRoot() / (options.headBits == 8 ? 73.9 : 4.6)
        return DeviceTable(
            storage: UInt32(options.headBits == 8 ? CRUMB_TABLE_Q8 : CRUMB_TABLE_Q4), codes: codes,
            scales: halves(count / 32, center: scale, spread: 0.2 * scale), rows: rows, columns: columns)
    }

    // MARK: places

    /// Half the width of an even distribution whose variance is 1 / K.
    private func spread(_ columns: Int) -> Float { (3 / Float(columns)).squareRoot() }

    private mutating func halves(_ count: Int, center: Float, spread: Float) -> UInt64 {
        let address = layout.reserve(count, of: UInt16.self)
        fills.append(
            .halves(
                crumb_random_halves_args(
                    output: address, count: UInt64(count), seed: random.next(), center: center, spread: spread)))
        return address
    }

    private mutating func floats(_ numbers: [Float]) -> UInt64 {
        let address = layout.reserve(numbers.count, of: Float.self)
        fills.append(.floats(numbers, address))
        return address
    }

    private mutating func halfwords(_ numbers: [UInt16]) -> UInt64 {
        let address = layout.reserve(numbers.count, of: UInt16.self)
        fills.append(.halfwords(numbers, address))
        return address
    }
}
