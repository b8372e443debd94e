import CrumbCUDA
import CrumbModel

/// The dense weights of the layer in work.
final class BlockBuffers {
    let block: TuneBlock
    private let memory: DeviceBuffer<UInt8>
    private let configuration: ModelConfiguration

    static func byteCount(_ configuration: ModelConfiguration) -> Int {
        pieces(configuration).reduce(0) { $0 + DeviceArena.rounded($1) }
    }

    private static func pieces(_ c: ModelConfiguration) -> [Int] {
        let rows = c.queryFeatures + 2 * c.keyValueFeatures
        return [
            4 * rows * c.hiddenSize, 4 * c.hiddenSize * c.queryFeatures, 8 * c.intermediateSize * c.hiddenSize,
            4 * c.hiddenSize * c.intermediateSize, 4 * c.hiddenSize, 4 * c.hiddenSize, 4 * rows,
        ]
    }

    init(_ configuration: ModelConfiguration, on device: Device) throws(CUDAError) {
        memory = try DeviceBuffer(count: Self.byteCount(configuration), on: device, for: "a layer's weights")
        self.configuration = configuration
        var next = memory.address
        let a = Self.pieces(configuration).map { bytes in
            defer { next += UInt64(DeviceArena.rounded(bytes)) }
            return next
        }
        block = TuneBlock(
            queryKeyValue: a[0], output: a[1], gateUp: a[2], down: a[3], inputNorm: a[4], postNorm: a[5],
            bias: configuration.biases.isEmpty ? 0 : a[6])
    }

    func address(_ projection: Projection) -> UInt64 { block.address(projection, configuration, elementBytes: 4) }

    func fill(_ layer: LayerWeights, _ upload: ElementUpload, in stream: borrowing Stream) throws(CUDAError) {
        try ElementUpload.copy(layer.inputNorm, to: block.inputNorm, in: stream)
        try ElementUpload.copy(layer.postAttentionNorm, to: block.postNorm, in: stream)
        if block.bias != 0, let biases = DenseModel.biases(layer) {
            try ElementUpload.copy(biases, to: block.bias, in: stream)
        }
        for projection in Projection.allCases {
            try upload.send(layer[projection], to: address(projection), in: stream)
        }
    }
}
