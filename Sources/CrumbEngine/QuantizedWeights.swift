import CrumbABI
package import CrumbFormats
package import CrumbModel
import CrumbPacked
import CrumbTensor
import Synchronization

/// The weights of a quantized folder, used where they lie, checked before anything computes with them: sizes, orders,
/// scales and outliers are such that no kernel can reach outside its buffers.
package final class QuantizedWeights: WeightSource {
    package let configuration: QuantizationConfiguration
    private let checkpoint: any Checkpoint
    private let plain: CheckpointWeights
    /// Orders read so far, by tensor name, so that matrices that share one share the object.
    private let orders = Mutex<[String: KnownOrder]>([:])

    /// An order and the input it was checked for.
    private struct KnownOrder {
        let order: ChannelOrder
        let columns: Int
        let segments: UInt32
    }

    /// - Parameter configuration: Read from the checkpoint's `config.json`.
    /// - Throws: `EngineError` where it names tensors that the folder does not have.
    package init(_ checkpoint: any Checkpoint, configuration: QuantizationConfiguration) throws {
        self.checkpoint = checkpoint
        self.configuration = configuration
        plain = CheckpointWeights(checkpoint)
        let names = configuration.matrices.flatMap { [$0.key, $0.value.order] }
        let groupedNames = configuration.grouped.flatMap { [$0.key, $0.value.scales] }
        if let missing = (names + groupedNames).sorted().first(where: { !checkpoint.hasTensor($0) }) {
            throw EngineError("\(checkpoint.path): quantization_config names the tensor \(missing), which is not there")
        }
    }

    package var path: String { checkpoint.path }

    /// - Throws: `EngineError` for records, orders, codes or scales that are damaged; what `CheckpointWeights` throws for
    ///   a tensor that is not quantized.
    package func storage(_ name: String) throws -> LinearWeight.Storage {
        let tensor = name + ".weight"
        if let matrix = configuration.matrices[tensor] { return .packed(try packed(tensor, matrix)) }
        if let grouped = configuration.grouped[tensor] { return .grouped(try self.grouped(tensor, grouped)) }
        return try plain.storage(name)
    }

    package func vector(_ name: String, count: Int) throws -> [Float] { try plain.vector(name, count: count) }

    private func packed(_ name: String, _ matrix: QuantizationConfiguration.Matrix) throws -> PackedMatrix {
        let records = try checkpoint.tensor(name)
        let shape = matrix.shape
        let expected = [Int(shape.segments), shape.rowTiles, shape.recordBytes]
        guard records.type == .u8, records.shape == expected else {
            throw damaged(
                "\(name) is \(records.type.rawValue) of shape \(records.shape), but quantization_config asks for u8 of shape "
                    + "\(expected)")
        }
        let order = try order(matrix.order, for: name, shape)
        do {
            let packed = try PackedMatrix(shape: shape, records: records, order: order)
            try BlockUnpacker.validate(packed)
            try checkOutlierRows(packed)
            return packed
        } catch {
            throw damaged("\(error)")
        }
    }

    /// The last tile of rows may be shorter than 32; its outliers must not name rows that the matrix does not have.
    private func checkOutlierRows(_ matrix: PackedMatrix) throws(PackedError) {
        let shape = matrix.shape
        let rows = shape.n - (shape.rowTiles - 1) * Int(CRUMB_TILE_ROWS)
        let entries = shape.twoBitTiles * Int(shape.outliers_per_tile)
        for segment in 0..<Int(shape.segments) {
            let record = matrix.record(segment: segment, tile: shape.rowTiles - 1)
            for entry in 0..<entries {
                let offset = Int(shape.outliers_offset) + entry * MemoryLayout<crumb_outlier>.size
                let position = UInt16(littleEndian: record.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
                guard Int(position & 31) < rows else {
                    throw PackedError("\(matrix.records.name) has an outlier below its last row")
                }
            }
        }
    }

    private func order(_ name: String, for matrix: String, _ shape: crumb_packed_shape) throws -> ChannelOrder {
        if let known = orders.withLock({ $0[name] }) {
            // One order can serve matrices of one input only: the same channels, cut the same way.
            if known.columns == shape.k, known.segments == shape.segments { return known.order }
            throw damaged("\(matrix) shares the order \(name) with a matrix of other channels")
        }
        do {
            let order = try ChannelOrder.read(checkpoint.tensor(name), shape: shape)
            orders.withLock { $0[name] = KnownOrder(order: order, columns: shape.k, segments: shape.segments) }
            return order
        } catch {
            throw damaged("the order of \(matrix): \(error)")
        }
    }

    private func grouped(_ name: String, _ matrix: QuantizationConfiguration.Grouped) throws -> GroupedMatrix {
        let codes = try checkpoint.tensor(name)
        let scales = try checkpoint.tensor(matrix.scales)
        let grouped: GroupedMatrix
        do {
            grouped = try GroupedMatrix(bits: matrix.bits, codes: codes, scales: scales)
        } catch {
            throw damaged("\(error)")
        }
        let exponent: UInt16 = 0x7C00
        for index in 0..<scales.count {
            let scale = UInt16(littleEndian: scales.bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
            guard scale & exponent != exponent else {
                throw damaged("\(matrix.scales) has a scale at index \(index) that is not finite")
            }
        }
        return grouped
    }

    private func damaged(_ reason: String) -> EngineError { EngineError("\(checkpoint.path): \(reason)") }
}
