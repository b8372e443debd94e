/// The linear layers of one decoder block, in the order in which a token meets them.
package enum Projection: String, Sendable, CaseIterable {
    case q, k, v, o, gate, up, down

    /// The input it has.
    package var role: InputRole {
        switch self {
        case .q, .k, .v: .queryKeyValue
        case .o: .attentionOutput
        case .gate, .up: .gateUp
        case .down: .down
        }
    }

    /// The name within a block of a Hugging Face checkpoint, without `.weight`.
    package var name: String {
        switch self {
        case .q, .k, .v, .o: "self_attn.\(rawValue)_proj"
        case .gate, .up, .down: "mlp.\(rawValue)_proj"
        }
    }
}

/// The four inputs of linear layers in a block, in the order in which they come to be. The matrices of one are multiplied
/// together, and packed they have one order of channels.
package enum InputRole: Sendable, CaseIterable {
    case queryKeyValue, attentionOutput, gateUp, down

    package var projections: [Projection] {
        switch self {
        case .queryKeyValue: [.q, .k, .v]
        case .attentionOutput: [.o]
        case .gateUp: [.gate, .up]
        case .down: [.down]
        }
    }
}
