import CrumbABI
import CrumbEngine
import CrumbFormats
import CrumbModel
import CrumbPacked
import CrumbReport
import CrumbTensor

/// Goes through a model's weights once and gathers what `crumb inspect --plot` draws.
struct PlotCollector {
    private let inspection: Inspection
    private let weights: DecoderWeights
    private var ranges: [GroupRanges]
    private var shares: [[Double?]]
    private var channels: [ChannelMap]

    /// Matrices that have the same input and, quantized, share the order of its channels.
    private static let inputs: [[Projection]] = [[.q, .k, .v], [.o], [.gate, .up], [.down]]

    /// Rows of a matrix that are looked at for the ranges, evenly spread: enough for a smooth histogram.
    private static let sampledRows = 512

    private static let group = Int(CRUMB_GROUP)

    init(_ inspection: Inspection) throws {
        self.inspection = inspection
        let checkpoint = inspection.checkpoint
        let source: any WeightSource =
            try inspection.quantization.map { try QuantizedWeights(checkpoint, configuration: $0) }
            ?? CheckpointWeights(checkpoint)
        weights = try DecoderWeights(inspection.configuration, from: source)
        ranges = Projection.allCases.map { GroupRanges(kind: Self.shortName($0)) }
        shares = Projection.allCases.map { _ in [] }
        channels = Self.inputs.map { projections in
            let columns = inspection.configuration.shape(of: projections[0]).columns
            return ChannelMap(title: projections.map(Self.shortName).joined(separator: ", "), channels: columns)
        }
    }

    /// Looks at every layer.
    ///
    /// - Parameter progress: Called before each layer.
    mutating func collect(progress: (_ layer: Int, _ count: Int) -> Void) throws -> InspectionPlot {
        for layer in weights.layers.indices {
            progress(layer, weights.layers.count)
            for (input, projections) in Self.inputs.enumerated() {
                try collect(weights.layers[layer], projections, input: input)
            }
        }
        let configuration = inspection.configuration
        let bits = Figures.decimal(inspection.bitsPerWeight, places: 2)
        let isQuantized = inspection.quantization != nil
        return InspectionPlot(
            title: FileSystem.lastComponent(of: inspection.checkpoint.path),
            subtitle: "\(configuration.modelType), \(configuration.numHiddenLayers) layers, "
                + "\(Figures.count(inspection.linearWeights)) weights in linear layers, \(bits) bits each",
            ranges: ranges,
            fourBitShares: isQuantized ? LayerMap(kinds: ranges.map(\.kind), values: shares) : nil,
            channels: isQuantized ? channels : [])
    }

    private mutating func collect(_ layer: LayerWeights, _ projections: [Projection], input: Int) throws {
        let columns = channels[input].channels
        var fourBit = [Double](repeating: 0, count: columns)
        var outliers = [Int](repeating: 0, count: columns)
        for projection in projections {
            guard let kind = Projection.allCases.firstIndex(of: projection) else { continue }
            switch layer[projection].storage {
            case .dense(let view):
                collectRanges(view, kind: kind)
                shares[kind].append(nil)
            case .packed(let packed):
                let matrix = try BlockUnpacker.unpack(packed)
                collectRanges(matrix, kind: kind)
                let wide = packed.shape.fourBitChannels * Int(packed.shape.segments)
                shares[kind].append(Double(wide) / Double(packed.shape.k))
                for (position, channel) in packed.order.channels.enumerated() where matrix.isFourBit(position) {
                    if Int(channel) < columns { fourBit[Int(channel)] += 1 / Double(projections.count) }
                }
                for outlier in matrix.outliers {
                    let channel = Int(packed.order.channels[outlier.position])
                    if channel < columns { outliers[channel] += 1 }
                }
            case .grouped:
                shares[kind].append(nil)
            }
        }
        channels[input].append(fourBit: fourBit, outliers: outliers)
    }

    private mutating func collectRanges(_ view: TensorView, kind: Int) {
        var rows: [[Float]] = []
        for row in Self.sample(view.rows) {
            rows.append(
                [Float](unsafeUninitializedCapacity: view.columns) { buffer, count in
                    Dequantizer.dequantizeRow(view, row, into: buffer)
                    count = view.columns
                })
        }
        add(rows, kind: kind) { _ in false }
    }

    private mutating func collectRanges(_ matrix: QuantizedMatrix, kind: Int) {
        let positions = matrix.shape.orderCount
        let rows = Self.sample(matrix.shape.n).map { row in
            [Float](unsafeUninitializedCapacity: positions) { buffer, count in
                if let base = buffer.baseAddress { matrix.dequantizeRow(row, into: base) }
                count = positions
            }
        }
        add(rows, kind: kind, isFourBit: matrix.isFourBit)
    }

    /// Counts the ranges of whole groups in units of the rows' root mean square.
    private mutating func add(_ rows: [[Float]], kind: Int, isFourBit: (Int) -> Bool) {
        var squares = 0.0
        for row in rows { for weight in row { squares += Double(weight * weight) } }
        let count = rows.reduce(0) { $0 + $1.count }
        let unit = Float((squares / Double(max(count, 1))).squareRoot())
        for row in rows {
            for start in stride(from: 0, through: row.count - Self.group, by: Self.group) {
                var low = row[start]
                var high = low
                for weight in row[start..<start + Self.group] {
                    low = min(low, weight)
                    high = max(high, weight)
                }
                let range = (high - low) / unit
                if isFourBit(start) { ranges[kind].wide.add(range) } else { ranges[kind].narrow.add(range) }
            }
        }
    }

    private static func sample(_ rows: Int) -> [Int] {
        let count = min(rows, sampledRows)
        return (0..<count).map { $0 * rows / count }
    }

    private static func shortName(_ projection: Projection) -> String { projection.rawValue + "_proj" }
}
