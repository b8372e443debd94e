import CrumbCUDA

/// A product that is compiled for several numbers of tokens.
enum TokenFamily: String {
    /// For 1 to 4 tokens, 1 and 2 where there are roles.
    case packed = "packed_product"
    /// For 5 to 64, where there are no roles.
    case matmul = "packed_matmul"
    /// The same by warps with roles, from 3 tokens on; sm_90a only.
    case matmulRoles = "packed_matmul_roles"

    /// Tokens that a kernel is compiled for, ascending.
    var widths: [Int] {
        switch self {
        case .packed: [1, 2, 4]
        case .matmul: [8, 16, 32, 64]
        case .matmulRoles: [16, 32]
        }
    }

    /// Tokens of the narrowest kernel for so many; of the widest where none is enough.
    func width(for tokens: Int) -> Int { widths.first { $0 >= tokens } ?? widths[widths.count - 1] }
}

/// The kernels of a family, loaded for one card, with all of a block's shared memory.
package struct TokenKernels: Sendable {
    private let family: TokenFamily
    private let kernels: [Int: Kernel]

    /// nil where the library has none of them.
    ///
    /// - Throws: `CUDAError` where it has some and lacks others.
    init?<Arguments: BitwiseCopyable>(
        _ family: TokenFamily, _ library: KernelLibrary, arguments: Arguments.Type
    ) throws(CUDAError) {
        func name(_ width: Int) -> String { "\(family.rawValue)_m\(width)" }
        guard library.has(name(family.widths[0])) else { return nil }
        var kernels: [Int: Kernel] = [:]
        for width in family.widths {
            let kernel = try library.kernel(name(width), arguments: arguments)
            try kernel.allowSharedMemory(bytes: library.device.info.sharedBytesPerBlock)
            kernels[width] = kernel
        }
        self.family = family
        self.kernels = kernels
    }

    /// The narrowest kernel for so many tokens, or the widest.
    func kernel(tokens: Int) -> Kernel {
        guard let kernel = kernels[family.width(for: tokens)] else {
            preconditionFailure("no packed product for \(tokens) tokens")
        }
        return kernel
    }
}
