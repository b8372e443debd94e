package import CrumbABI
package import CrumbTensor

/// A weight matrix in the packed 2/4/16-bit layout: its shape, its records and the order of its input channels.
package struct PackedMatrix: Sendable {
    package let shape: crumb_packed_shape
    /// The records, [segments, row tiles, record bytes] of u8.
    package let records: TensorView
    package let order: ChannelOrder

    /// - Throws: `PackedError` when the records or the order do not have the sizes the shape asks for.
    package init(shape: crumb_packed_shape, records: TensorView, order: ChannelOrder) throws(PackedError) {
        guard records.type == .u8, records.bytes.count == shape.byteCount else {
            throw PackedError(
                "\(records.name) has \(records.bytes.count) bytes of packed records where \(shape.byteCount) belong")
        }
        guard order.channels.count == shape.orderCount else {
            throw PackedError(
                "\(records.name) has an order of \(order.channels.count) channels where \(shape.orderCount) belong")
        }
        self.shape = shape
        self.records = records
        self.order = order
    }

    /// A quantized matrix packed.
    ///
    /// - Parameter name: Of the tensor of its records.
    /// - Throws: `PackedError` as `BlockPacker.pack`.
    package init(_ matrix: QuantizedMatrix, name: String, order: ChannelOrder) throws(PackedError) {
        let shape = matrix.shape
        let records = try BlockPacker.pack(matrix).tensor(
            name, .u8, [Int(shape.segments), shape.rowTiles, shape.recordBytes])
        try self.init(shape: shape, records: records, order: order)
    }

    /// The record of row tile `tile` in segment `segment`.
    package func record(segment: Int, tile: Int) -> UnsafeRawPointer {
        // A shape has at least one record, so the base address is there.
        records.bytes.baseAddress.unsafelyUnwrapped + (segment * shape.rowTiles + tile) * shape.recordBytes
    }
}
