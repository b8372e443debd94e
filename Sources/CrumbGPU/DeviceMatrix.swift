package import CrumbABI
package import CrumbModel
import CrumbPacked

/// A channel order on the card, in both directions.
package struct DeviceOrder: Sendable {
    /// u16 [positions]: the source channel of a position, or padding.
    package let channels: UInt64
    /// u16 [K]: the position of a source channel.
    package let places: UInt64
    package let positions: Int
    /// The positions that stand for no channel, ascending; inputs hold zero there.
    package let padding: [Int]
}

/// One packed matrix on the card.
package struct DevicePacked: Sendable {
    package let shape: crumb_packed_shape
    /// [segments][row tiles][record bytes].
    package let records: UInt64
}

/// Matrices that share an input, one below the other: q, k, v; o; gate, up; down.
package struct DeviceLinear: Sendable {
    package enum Storage: Sendable {
        /// They also share a channel order.
        case packed([DevicePacked], DeviceOrder)
        /// fp16 [rows][columns].
        case half(UInt64)
    }

    package let storage: Storage
    /// N of all matrices together.
    package let rows: Int
    /// K.
    package let columns: Int
    /// fp32 [rows], or 0 where no matrix has one; zeros stand for a missing one beside others.
    package let bias: UInt64

    /// The order that the input is wanted in; nil for the source's own.
    package var order: DeviceOrder? {
        guard case .packed(_, let order) = storage else { return nil }
        return order
    }

    /// Numbers of one token's input.
    package var positions: Int { order?.positions ?? columns }

    /// Of all matrices, without biases and order.
    package var byteCount: Int {
        switch storage {
        case .packed(let parts, _): parts.reduce(0) { $0 + $1.shape.byteCount }
        case .half: 2 * rows * columns
        }
    }
}

/// The weights of one decoder block on the card.
package struct DeviceLayer: Sendable {
    /// fp32 [hiddenSize] each.
    package let inputNorm: UInt64
    package let postAttentionNorm: UInt64
    package let queryKeyValue: DeviceLinear
    package let attentionOutput: DeviceLinear
    package let gateUp: DeviceLinear
    package let down: DeviceLinear
    /// Latest positions a token sees, itself included; 0 for all.
    package let window: Int

    package subscript(role: InputRole) -> DeviceLinear {
        switch role {
        case .queryKeyValue: queryKeyValue
        case .attentionOutput: attentionOutput
        case .gateUp: gateUp
        case .down: down
        }
    }
}

/// The embedding or the head on the card, (vocabSize, hiddenSize).
package struct DeviceTable: Sendable {
    /// CRUMB_TABLE_*.
    package let storage: UInt32
    package let codes: UInt64
    /// fp16 [rows][columns / 32], or 0.
    package let scales: UInt64
    package let rows: Int
    package let columns: Int

    /// Bits of a code.
    package var bits: Int {
        switch Int(storage) {
        case Int(CRUMB_TABLE_F32): 32
        case Int(CRUMB_TABLE_Q8): 8
        case Int(CRUMB_TABLE_Q4): 4
        default: 16
        }
    }

    /// Of codes and scales.
    package var byteCount: Int { rows * columns * bits / 8 + (scales == 0 ? 0 : rows * columns / 16) }
}

/// Where the weights of a model lie on the card.
package struct DeviceWeights: Sendable {
    package let embedding: DeviceTable
    package let layers: [DeviceLayer]
    /// fp32 [hiddenSize].
    package let finalNorm: UInt64
    package let head: DeviceTable
    /// fp32 [headDim / 2].
    package let frequencies: UInt64
}
