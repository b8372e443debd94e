/// The linear layers of one decoder block, in the order in which a token meets them.
package enum Projection: String, Sendable, CaseIterable {
    case q, k, v, o, gate, up, down

    /// The name within a block of a Hugging Face checkpoint, without `.weight`.
    package var name: String {
        switch self {
        case .q, .k, .v, .o: "self_attn.\(rawValue)_proj"
        case .gate, .up, .down: "mlp.\(rawValue)_proj"
        }
    }
}
