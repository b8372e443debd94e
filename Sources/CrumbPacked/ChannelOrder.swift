package import CrumbABI
package import CrumbTensor

/// The order in which a packed matrix wants its input channels: most sensitive first, within each segment.
///
/// Matrices that share an input (q, k and v; gate and up) share one order object, so that a backend permutes the
/// activations once.
package final class ChannelOrder: Sendable {
    /// Source channel of each permuted position, or `CRUMB_PADDING_CHANNEL`; `segments * segmentChannels` entries.
    package let channels: [UInt16]

    /// Takes an order without looking at it; `validated` is for orders that come from a file.
    package init(_ channels: [UInt16]) { self.channels = channels }

    /// The order in the tensor `view`, U16 of shape [orderCount], for a matrix of `shape`; checked as `validated` does.
    package static func read(_ view: TensorView, shape: crumb_packed_shape) throws(PackedError) -> ChannelOrder {
        guard view.type == .u16, view.shape == [shape.orderCount] else {
            throw PackedError(
                "\(view.name) is \(view.type.rawValue) of shape \(view.shape), but an order of \(shape.orderCount) u16 "
                    + "belongs there")
        }
        let channels = (0..<shape.orderCount).map { index in
            UInt16(littleEndian: view.bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
        }
        switch validated(channels, shape: shape) {
        case .success(let order): return order
        case .failure(let error): throw PackedError("\(view.name): \(error)")
        }
    }

    /// An order read from a file for a matrix of `shape`, or a sentence that says why it is none.
    ///
    /// Every channel of a segment must stand once within that segment, and padding must fill the rest.
    package static func validated(
        _ channels: [UInt16], shape: crumb_packed_shape
    ) -> Result<ChannelOrder, PackedError> {
        let columns = shape.k
        guard channels.count == shape.orderCount else {
            return .failure(
                PackedError("an order of \(channels.count) entries stands where \(shape.orderCount) belong"))
        }
        let padding = UInt16(CRUMB_PADDING_CHANNEL)
        var seen = [Bool](repeating: false, count: columns)
        for (position, channel) in channels.enumerated() where channel != padding {
            let segment = position / shape.segmentChannels
            guard Int(channel) < columns, Int(channel) / shape.segmentColumns == segment, !seen[Int(channel)] else {
                return .failure(
                    PackedError("entry \(position) of an order names channel \(channel), which is taken or outside"))
            }
            seen[Int(channel)] = true
        }
        guard seen.allSatisfy({ $0 }) else { return .failure(PackedError("an order leaves out some of its channels")) }
        return .success(ChannelOrder(channels))
    }
}

/// What is wrong with the numbers of a packed matrix, in one sentence.
package struct PackedError: Error, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
