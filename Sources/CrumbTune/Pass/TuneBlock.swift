import CrumbCUDA
import CrumbModel

/// The weights of one block on the card, dense, as the operators read them.
struct TuneBlock {
    /// Element [q + k + v features][hidden], [hidden][q features], [2 x intermediate][hidden], [hidden][intermediate].
    var queryKeyValue, output, gateUp, down: UInt64
    /// fp32 [hidden].
    var inputNorm, postNorm: UInt64
    /// fp32 [q + k + v features], or 0.
    var bias: UInt64

    /// Places for a block; their numbers are undefined.
    init(_ configuration: ModelConfiguration, elementBytes: Int, in layout: inout SlabLayout) {
        let (hidden, intermediate) = (configuration.hiddenSize, configuration.intermediateSize)
        let rows = configuration.queryFeatures + 2 * configuration.keyValueFeatures
        queryKeyValue = layout.reserve(elementBytes * rows * hidden)
        output = layout.reserve(elementBytes * hidden * configuration.queryFeatures)
        gateUp = layout.reserve(elementBytes * 2 * intermediate * hidden)
        down = layout.reserve(elementBytes * hidden * intermediate)
        inputNorm = layout.reserve(hidden, of: Float.self)
        postNorm = layout.reserve(hidden, of: Float.self)
        bias = configuration.biases.isEmpty ? 0 : layout.reserve(rows, of: Float.self)
    }

    /// Where a projection's rows begin.
    func address(_ projection: Projection, _ configuration: ModelConfiguration, elementBytes: Int) -> UInt64 {
        let row = UInt64(configuration.hiddenSize * elementBytes)
        return switch projection {
        case .q: queryKeyValue
        case .k: queryKeyValue + UInt64(configuration.queryFeatures) * row
        case .v: queryKeyValue + UInt64(configuration.queryFeatures + configuration.keyValueFeatures) * row
        case .o: output
        case .gate: gateUp
        case .up: gateUp + UInt64(configuration.intermediateSize) * row
        case .down: down
        }
    }

    /// All numbers of a block.
    func fill(
        _ layer: LayerWeights, _ configuration: ModelConfiguration, _ upload: ElementUpload,
        in stream: borrowing Stream
    ) throws(CUDAError) {
        try ElementUpload.copy(layer.inputNorm, to: inputNorm, in: stream)
        try ElementUpload.copy(layer.postAttentionNorm, to: postNorm, in: stream)
        if let biases = Self.biases(layer) { try ElementUpload.copy(biases, to: bias, in: stream) }
        for projection in Projection.allCases {
            let target = address(projection, configuration, elementBytes: upload.element.byteCount)
            try upload.send(layer[projection], to: target, in: stream)
        }
    }

    /// The biases of queries, keys and values one after the other, zeros where one has none; nil without any.
    static func biases(_ layer: LayerWeights) -> [Float]? {
        guard layer.queryKeyValue.contains(where: { $0.bias != nil }) else { return nil }
        return layer.queryKeyValue.flatMap { $0.bias ?? Array(repeating: 0, count: $0.rows) }
    }
}
