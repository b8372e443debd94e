import CrumbABI
import CrumbCUDA
import CrumbModel
import CrumbPacked

/// Grid, block, shared memory and the last arguments of packed_product_mM.
struct PackedLaunch {
    /// A residual product leaves as many sums of squares.
    let blocks: Int
    let threads: Int
    /// 0: a block of this card has too little for one record.
    let sharedBytes: Int
    let arguments: crumb_packed_args

    /// How many bytes of its records a block has under way at once.
    enum CopyWindow {
        /// What crumb_packed_plan says.
        case planned
        /// One piece of a record, the next of which is asked for when it has arrived. Only for measurements.
        case singlePiece
    }

    /// One block for each multiprocessor.
    init(_ arguments: crumb_packed_args, on card: DeviceInfo, window: CopyWindow = .planned) {
        var filled = arguments
        let width = UInt32(TokenFamily.packed.width(for: Int(arguments.tokens)))
        blocks = card.multiprocessors
        sharedBytes = Int(crumb_packed_plan(&filled, width, UInt32(blocks), UInt64(card.sharedBytesPerBlock)))
        // No piece is so short: each waits until nothing is under way.
        if window == .singlePiece { filled.window = 1 }
        threads = 32 * Int(filled.warps + UInt32(CRUMB_PACKED_OTHER_WARPS))
        self.arguments = filled
    }

    /// A product with up to three matrices side by side and their biases, fp32 [rows of all].
    static func product(_ kind: PackedKind, _ parts: [DevicePacked], bias: UInt64) -> crumb_packed_product {
        precondition(parts.count <= 3, "\(parts.count) matrices in one product")
        var product = crumb_packed_product()
        product.kind = kind.rawValue
        product.part_count = UInt32(parts.count)
        var feature = 0
        let filled = parts.map { part in
            defer { feature += part.shape.n }
            var filled = crumb_packed_part()
            filled.shape = part.shape
            filled.first_feature = UInt32(feature)
            filled.records = part.records
            filled.bias = bias == 0 ? 0 : bias + UInt64(4 * feature)
            return filled
        }
        if filled.count > 0 { product.parts.0 = filled[0] }
        if filled.count > 1 { product.parts.1 = filled[1] }
        if filled.count > 2 { product.parts.2 = filled[2] }
        return product
    }

    /// The most tokens of a launch for which every product of a model fits the shared memory; 0 where none does.
    static func width(_ weights: DeviceWeights, _ info: DeviceInfo) -> Int {
        TokenFamily.packed.widths.last { width in
            weights.layers.allSatisfy { layer in
                InputRole.allCases.allSatisfy { role in
                    guard case .packed(let parts, _) = layer[role].storage else { return true }
                    var arguments = crumb_packed_args()
                    arguments.product = product(role.packedKind, parts, bias: 0)
                    arguments.tokens = UInt32(width)
                    return PackedLaunch(arguments, on: info).sharedBytes > 0
                }
            }
        } ?? 0
    }
}

/// What becomes of a product.
enum PackedKind: UInt32 {
    /// fp32 [M][N].
    case store
    /// Added to the residual stream.
    case residual
    /// silu(gate) x up.
    case silu
}
