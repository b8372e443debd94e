import CrumbABI
import CrumbCUDA
import CrumbPacked

/// Grid, block, shared memory and the last arguments of packed_matmul_mM.
struct MatmulLaunch {
    let blocks: Int
    let threads: Int
    let sharedBytes: Int
    /// Without `partials` and `arrivals`.
    let arguments: crumb_matmul_args

    /// Row tiles of a group and slices of a block, the first that fit: on one H200 Llama-2-7B's four products with 16
    /// tokens took 87 us with 4 row tiles and 110 with 8, with 8 tokens 78 with 4, 81 with 2 and 87 with 8.
    private static let cuts: [(tiles: UInt32, slices: UInt32)] = [(4, 2), (4, 1), (2, 2), (2, 1)]

    /// - Parameter tokens: At most 64.
    /// - Returns: nil where gate and up differ in shape, or a block of this card has too little shared memory.
    init?(_ product: crumb_packed_product, tokens: Int, epsilon: Float, on card: DeviceInfo) {
        let width = TokenFamily.matmul.width(for: tokens)
        var arguments = crumb_matmul_args()
        arguments.product = product
        arguments.tokens = UInt32(tokens)
        arguments.epsilon = epsilon
        // Blocks of a multiprocessor share its memory, and each takes 1024 bytes more.
        for each in stride(from: Int(crumb_matmul_blocks(UInt32(width))), to: 0, by: -1) {
            for cut in Self.cuts {
                (arguments.tiles, arguments.slices) = (cut.tiles, cut.slices)
                let blocks = each * card.multiprocessors
                let limit = (card.sharedBytesPerBlock + 1024) / each - 1024
                let bytes = crumb_matmul_plan(&arguments, UInt32(width), UInt32(blocks), UInt64(limit))
                guard bytes > 0 else { continue }
                (self.blocks, sharedBytes) = (blocks, Int(bytes))
                threads = 32 * Int(cut.tiles * cut.slices)
                self.arguments = arguments
                return
            }
        }
        return nil
    }

    /// Floats of `partials` for products with up to `tokens` tokens.
    static func partialCount(tokens: Int, multiprocessors: Int) -> Int {
        TokenFamily.matmul.widths.prefix { $0 <= TokenFamily.matmul.width(for: tokens) }.map { width in
            let blocks = Int(crumb_matmul_blocks(UInt32(width))) * multiprocessors
            return 2 * blocks * width * Int(CRUMB_TILE_ROWS) * Int(cuts.map(\.tiles).max() ?? 0)
        }.max() ?? 0
    }

    /// Whether all products of a model can be made so, with any number of tokens.
    static func serves(_ weights: DeviceWeights, _ info: DeviceInfo) -> Bool {
        weights.layers.allSatisfy { layer in
            InputRole.allCases.allSatisfy { role in
                guard case .packed(let parts, _) = layer[role].storage else { return true }
                let product = PackedLaunch.product(role.packedKind, parts, bias: 0)
                return TokenFamily.matmul.widths.allSatisfy {
                    MatmulLaunch(product, tokens: $0, epsilon: 0, on: info) != nil
                }
            }
        }
    }
}

extension InputRole {
    /// What becomes of the products that read this input.
    var packedKind: PackedKind { self == .queryKeyValue ? .store : self == .gateUp ? .silu : .residual }
}
