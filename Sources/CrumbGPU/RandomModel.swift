import CrumbABI
package import CrumbCUDA
package import CrumbModel
import CrumbPacked

/// Decoders with random weights that are made on the card.
package enum RandomModel {
    /// A decoder of `configuration`'s sizes.
    ///
    /// - Throws: `ModelError` for sizes that the kernels do not serve; `CUDAError` where memory is short, before anything
    ///   is made, or the card fails.
    package static func decoder(
        _ configuration: ModelConfiguration, _ options: RandomModelOptions, library: KernelLibrary,
        blas: CuBLASTable?
    ) throws -> GPUDecoder {
        try GPUDecoder.check(configuration)
        let device = library.device
        let plan = try RandomPlan(configuration, options)
        guard let planned = plan.weights else { preconditionFailure("a plan that was not finished") }
        try device.require(
            bytes: plan.byteCount
                + GPUDecoder.workingBytes(configuration, planned, device, hasLibrary: blas != nil), for: "the model")
        let stream = try Stream(on: device)
        let memory = try DeviceBuffer<UInt8>(count: plan.byteCount, on: device, for: "the weights")
        let placed = try RandomPlan(configuration, options, base: memory.address)
        guard let weights = placed.weights else { preconditionFailure("a plan that was not finished") }
        let kernels = try RandomKernels(library)
        for fill in placed.fills { try kernels.run(fill, in: stream) }
        try stream.synchronize()
        return try GPUDecoder(
            configuration, UploadedWeights(places: weights, memory: memory), library: library, blas: blas,
            stream: stream)
    }
}

/// Fills places of a plan.
struct RandomKernels {
    private let records: Kernel
    private let halves: Kernel
    private let words: Kernel
    /// Blocks of the kernels that take any number.
    private let blocks: Int

    init(_ library: KernelLibrary) throws(CUDAError) {
        records = try library.kernel("random_records", arguments: crumb_random_records_args.self)
        halves = try library.kernel("random_halves", arguments: crumb_random_halves_args.self)
        words = try library.kernel("random_words", arguments: crumb_random_words_args.self)
        blocks = 8 * library.device.info.multiprocessors
    }

    func run(_ fill: RandomPlan.Fill, in stream: borrowing Stream) throws(CUDAError) {
        let block = LaunchExtent(Int(CRUMB_RANDOM_THREADS))
        switch fill {
        case .records(let arguments):
            try records.launch(
                grid: LaunchExtent(arguments.shape.rowTiles, Int(arguments.shape.segments)), block: block,
                stream: stream, arguments: arguments)
        case .halves(let arguments):
            try halves.launch(grid: LaunchExtent(blocks), block: block, stream: stream, arguments: arguments)
        case .words(let arguments):
            try words.launch(grid: LaunchExtent(blocks), block: block, stream: stream, arguments: arguments)
        case .floats(let numbers, let address):
            try copy(numbers, to: address, in: stream)
        case .halfwords(let numbers, let address):
            try copy(numbers, to: address, in: stream)
        }
    }

    private func copy<Element: BitwiseCopyable>(
        _ elements: [Element], to address: UInt64, in stream: borrowing Stream
    ) throws(CUDAError) {
        try elements.withUnsafeBufferPointer { elements throws(CUDAError) in
            try stream.copy(elements, to: DeviceView<Element>(address: address, count: elements.count))
        }
    }
}
