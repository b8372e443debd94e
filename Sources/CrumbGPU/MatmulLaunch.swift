package import CrumbABI
package import CrumbCUDA
import CrumbModel
import CrumbPacked

/// Grid, block, shared memory and the last arguments of packed_matmul_mM or packed_matmul_roles_mM.
package struct MatmulLaunch {
    package let blocks: Int
    package let threads: Int
    package let sharedBytes: Int
    /// Without `partials` and `arrivals`.
    package let arguments: crumb_matmul_args
    /// The tokens that the kernel is made for, as `width(for:on:)` has it.
    let width: Int
    /// Whether it is packed_matmul_roles_mM.
    package var usesRoles: Bool { arguments.whole == UInt32(CRUMB_MATMUL_ROLES) }
    /// Cycles, roughly: a step, and what begins and ends a block. With 16 tokens one H200 takes 20,000 for 4096 x 4096 in
    /// groups of one block each and 27,000 in groups that blocks share; 33,000 and 40,000 for 4096 x 11008; 46,000 and
    /// 38,000 for 12288 x 4096, whose groups are more than blocks; with 8 tokens 31,000 and 35,000. By warps with roles, 16
    /// tokens: 14,600, 23,100, 28,200 and for 22016 x 4096, which takes 52,000 in shared groups, 38,500.
    private let cost: Double

    /// How the rows of a product and their channels are dealt out to blocks.
    private struct Cut {
        /// Row tiles of a group, and slices of its channels.
        let tiles: UInt32
        let slices: UInt32
        let form: Form
    }
    /// Whether each block has a group of its own; else the steps of all groups are dealt out evenly.
    private enum Form {
        case shared, whole, roles

        var number: UInt32 {
            switch self {
            case .shared: UInt32(CRUMB_MATMUL_SHARED)
            case .whole: UInt32(CRUMB_MATMUL_WHOLE)
            case .roles: UInt32(CRUMB_MATMUL_ROLES)
            }
        }
    }
    private static let shared: [Cut] = [(4, 2), (4, 1), (2, 2), (2, 1)].map {
        Cut(tiles: $0.0, slices: $0.1, form: .shared)
    }
    private static let whole: [Cut] = [(1, 8), (2, 4)].map { Cut(tiles: $0.0, slices: $0.1, form: .whole) }
    private static let roles = Cut(tiles: UInt32(CRUMB_ROLES_TILES), slices: 1, form: .roles)

    /// Whether there are kernels whose warps have roles.
    private static func hasRoles(_ card: DeviceInfo) -> Bool { card.capability.major == 9 }

    /// The tokens that the kernels for `tokens` are made for, and so how many places their inputs have: with roles 16 at
    /// least. 16 tokens by roles take 59.6 us for Llama-2-7B's four products on one H200, 8 by packed_matmul_m8 81.4
    /// (packed_bench, groups that blocks share).
    static func width(for tokens: Int, on card: DeviceInfo) -> Int {
        TokenFamily.matmul.width(for: hasRoles(card) ? max(tokens, TokenFamily.matmulRoles.widths[0]) : tokens)
    }

    /// The most tokens that packed_product makes faster: on one H200 4 take 77.0 us and 2 take 54.7 (`bench --kernels`, whose
    /// numbers are up to a fifth above packed_bench's).
    static func productTokens(_ packedWidth: Int, on card: DeviceInfo) -> Int {
        hasRoles(card) ? min(packedWidth, 2) : packedWidth
    }

    /// - Parameter tokens: At most 64.
    /// - Returns: nil where gate and up differ in shape, or a block of this card has too little shared memory.
    package init?(_ product: crumb_packed_product, tokens: Int, epsilon: Float, on card: DeviceInfo) {
        let width = Self.width(for: tokens, on: card)
        let isPaired = product.kind == PackedKind.silu.rawValue
        // With more tokens a row tile's activations are many times its codes.
        let whole = Self.whole.filter { width <= 16 && !(isPaired && $0.tiles == 1) }
            .compactMap { Self(product, tokens, width, epsilon, $0, card) }
        // Products by four warps at once want four row tiles.
        let cuts = Self.shared.filter { card.capability.major != 9 || width < 32 || $0.tiles == 4 }
        guard let even = cuts.lazy.compactMap({ Self(product, tokens, width, epsilon, $0, card) }).first else {
            return nil
        }
        // With more tokens than the widest of these kernels has, each half of them has groups of its own.
        let roles = Self.hasRoles(card) ? Self(product, tokens, width, epsilon, Self.roles, card) : nil
        self = (whole + [even] + (roles.map { [$0] } ?? [])).min { $0.cost < $1.cost } ?? even
    }

    private init?(
        _ product: crumb_packed_product, _ tokens: Int, _ width: Int, _ epsilon: Float, _ cut: Cut, _ card: DeviceInfo
    ) {
        var arguments = crumb_matmul_args()
        self.width = width
        arguments.product = product
        arguments.tokens = UInt32(tokens)
        arguments.epsilon = epsilon
        (arguments.tiles, arguments.slices, arguments.whole) = (cut.tiles, cut.slices, cut.form.number)
        threads = cut.form == .roles ? Int(CRUMB_ROLES_THREADS) : 32 * Int(cut.tiles * cut.slices)
        // Blocks of a multiprocessor share its memory, and each takes 1024 bytes more. Whole groups are best alone; blocks
        // with roles wait for each other, so that all must have a place.
        let most = cut.form == .roles ? 1 : Int(crumb_matmul_blocks(UInt32(width)))
        for each in cut.form == .whole ? Array(1...most) : (1...most).reversed() {
            let blocks = each * card.multiprocessors
            let memory = card.sharedBytesPerBlock + 1024
            let bytes = Int(
                crumb_matmul_plan(&arguments, UInt32(width), UInt32(blocks), UInt64(memory / each - 1024)))
            let cuts = [arguments.cuts.0, arguments.cuts.1, arguments.cuts.2].prefix(Int(arguments.cut_count))
            let groups = cuts.reduce(0) { $0 + Int($1.groups) }
            guard bytes > 0, cut.form != .whole || groups <= blocks else { continue }
            self.blocks = blocks
            // A block that shall be alone takes so much that none of the next launch stands beside it: it would draw
            // others there, and multiprocessors stay empty.
            sharedBytes = each == 1 ? max(bytes, memory / 2) : bytes
            self.arguments = arguments
            let steps = cuts.reduce(0) { $0 + Int($1.steps) * Int($1.groups) }
            cost =
                switch cut.form {
                case .whole: Double(cuts.map(\.steps).max() ?? 0) * (each == 1 ? 1800 : 2600) + 7500
                case .shared: Double(steps) / Double(blocks) * 3300 + 13000
                case .roles: Double(steps) / Double(blocks) * 500 + 11500
                }
            return
        }
        return nil
    }

    /// Floats of `partials` for products with up to `tokens` tokens.
    static func partialCount(tokens: Int, multiprocessors: Int) -> Int {
        TokenFamily.matmul.widths.prefix { $0 <= TokenFamily.matmul.width(for: tokens) }.map { width in
            let even = width * Int(crumb_matmul_blocks(UInt32(width))) * Int(shared.map(\.tiles).max() ?? 0)
            let byRoles = TokenFamily.matmulRoles.width(for: width) * Int(roles.tiles)
            return 2 * multiprocessors * Int(CRUMB_TILE_ROWS) * max(even, byRoles)
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
