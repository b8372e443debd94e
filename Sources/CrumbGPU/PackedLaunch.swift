import CrumbABI
import CrumbCUDA
import CrumbPacked

/// Grid, shared memory and the last arguments of packed_matvec_*.
struct PackedLaunch {
    /// A residual product leaves as many sums of squares.
    let blocks: Int
    let sharedBytes: Int
    let arguments: crumb_packed_matvec_args

    /// One block for each multiprocessor, or for each unit of work where there are fewer.
    init(_ epilogue: PackedKernels.Epilogue, _ arguments: crumb_packed_matvec_args, multiprocessors: Int) {
        var filled = arguments
        let isPaired: Int32 = epilogue == .silu ? 1 : 0
        let blocks = min(crumb_packed_units(&filled, isPaired), UInt32(multiprocessors))
        let width = UInt32(PackedKernels.width(for: Int(arguments.tokens)))
        sharedBytes = Int(crumb_packed_matvec_plan(&filled, width, blocks, isPaired))
        self.blocks = Int(blocks)
        self.arguments = filled
    }

    /// Arguments with up to three matrices side by side and their biases, fp32 [rows of all].
    static func arguments(_ parts: [DevicePacked], bias: UInt64) -> crumb_packed_matvec_args {
        precondition(parts.count <= 3, "\(parts.count) matrices in one product")
        var arguments = crumb_packed_matvec_args()
        arguments.part_count = UInt32(parts.count)
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
        if filled.count > 0 { arguments.parts.0 = filled[0] }
        if filled.count > 1 { arguments.parts.1 = filled[1] }
        if filled.count > 2 { arguments.parts.2 = filled[2] }
        return arguments
    }

    /// The most tokens of a launch for which every product of a model fits the shared memory; 0 where none does.
    static func width(_ weights: DeviceWeights, _ kernels: PackedKernels, _ info: DeviceInfo) -> Int {
        PackedKernels.widths.last { width in
            weights.layers.allSatisfy { layer in
                InputRole.allCases.allSatisfy { role in
                    guard case .packed(let parts, _) = layer[role].storage else { return true }
                    let epilogue: PackedKernels.Epilogue =
                        role == .queryKeyValue ? .store : role == .gateUp ? .silu : .residual
                    var arguments = Self.arguments(parts, bias: 0)
                    arguments.tokens = UInt32(width)
                    let kernel = kernels.kernel(epilogue, tokens: width)
                    return PackedLaunch(epilogue, arguments, multiprocessors: info.multiprocessors).sharedBytes
                        <= info.sharedBytesPerBlock - kernel.staticSharedBytes
                }
            }
        } ?? 0
    }
}
