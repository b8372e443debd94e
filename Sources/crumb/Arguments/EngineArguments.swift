import ArgumentParser
import CrumbEngine
import CrumbThreads
import Logging

extension BackendChoice: ExpressibleByArgument {}

/// Where models are run, shared by the verbs that can use a GPU.
struct DeviceArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "auto: the first GPU, else the CPU, with a warning where there is a GPU that cannot. cpu. cuda, or cuda:1 and so on: this GPU, or an error that says why not. (default: auto)",
            valueName: "name"),
        transform: DeviceArguments.read)
    var device = DeviceChoice.automatic

    @Sendable static func read(_ text: String) throws -> DeviceChoice {
        do {
            return try DeviceChoice(text)
        } catch {
            throw ValidationError(ErrorMapping.sentence(for: error))
        }
    }
}

/// How a model is run.
struct EngineArguments: ParsableArguments {
    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Threads to work with. (default: all the machine has)", valueName: "n"))
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "Of the CPU, which auto of --device then takes. simd: vector code, all threads. reference: plain 32-bit code, slow, to check it against.",
            valueName: "name"))
    var backend = BackendChoice.automatic

    @OptionGroup
    var place: DeviceArguments

    @Flag(help: "Compare a quantized folder's files with their digests before they are used.")
    var verify = false

    mutating func validate() throws {
        try validateThreads(threads)
        if case .cuda = place.device {
            try require(
                backend == .automatic,
                "--backend \(backend.rawValue) is the CPU's and --device \(place.device) is not; leave one out.")
        }
    }

    /// The threads of one command; models that it compares share them.
    func pool() -> ThreadPool { ThreadPool(threadCount: threads ?? ThreadPool.hardwareThreads) }

    /// Opens a model on these threads.
    ///
    /// - Parameters:
    ///   - device: nil for `--device`.
    ///   - backend: nil for `--backend`.
    func load(
        _ path: String, pool: ThreadPool, device: DeviceChoice? = nil, backend: BackendChoice? = nil
    ) throws -> LoadedModel {
        try ModelLoader(
            backend: backend ?? self.backend, device: device ?? place.device, verifiesDigests: verify, pool: pool,
            logger: Logger(label: "crumb.load")
        ).load(path)
    }
}

/// Refuses thread counts no machine has, as wrong usage.
func validateThreads(_ threads: Int?) throws {
    try require(threads.map { (1...256).contains($0) }, "--threads is \(threads ?? 0); it must lie between 1 and 256.")
}
