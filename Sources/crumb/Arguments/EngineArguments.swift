import ArgumentParser
import CrumbEngine
import CrumbThreads
import Logging

extension BackendChoice: ExpressibleByArgument {}

/// How a model is run.
struct EngineArguments: ParsableArguments {
    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Threads to work with. (default: all the machine has)", valueName: "n"))
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "simd: vector code on the packed codes, all threads. reference: plain 32-bit code, slow, to check it against.",
            valueName: "name"))
    var backend = BackendChoice.automatic

    @Flag(help: "Compare a quantized folder's files with their digests before they are used.")
    var verify = false

    mutating func validate() throws {
        try validateThreads(threads)
    }

    /// The threads of one command; models that it compares share them.
    func pool() -> ThreadPool { ThreadPool(threadCount: threads ?? ThreadPool.hardwareThreads) }

    /// Opens a model on these threads.
    func load(_ path: String, pool: ThreadPool) throws -> LoadedModel {
        try ModelLoader(
            backend: backend, verifiesDigests: verify, pool: pool, logger: Logger(label: "crumb.load")
        ).load(path)
    }
}

/// Refuses thread counts no machine has, as wrong usage.
func validateThreads(_ threads: Int?) throws {
    try require(threads.map { (1...256).contains($0) }, "--threads is \(threads ?? 0); it must lie between 1 and 256.")
}
