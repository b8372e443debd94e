import CrumbCUDA
import CrumbEngine
import CrumbModel
import CrumbTestSupport
import CrumbThreads
import Foundation
import Logging
import Synchronization
import Testing

@Suite struct LoaderTests {
    /// A tiny model, whose heads of 16 features no GPU kernel serves: no machine runs it on a GPU.
    private func load(
        _ device: DeviceChoice, backend: BackendChoice = .automatic, log: Recorder = Recorder()
    ) throws -> LoadedModel {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try TinyModel().write(to: folder)
        return try ModelLoader(
            backend: backend, device: device, pool: ThreadPool(threadCount: 1),
            logger: Logger(label: "test") { _ in log }
        ).load(folder)
    }

    @Test(arguments: [DeviceChoice.cpu, .automatic]) func `a model that no GPU serves runs on the CPU`(
        _ device: DeviceChoice
    ) throws {
        let model = try load(device)
        #expect(model.decoder === model.forward)
    }

    @Test func `the log names what runs the model, and warns only where a GPU is left aside`() throws {
        let log = Recorder()
        _ = try load(.automatic, log: log)
        let fallback = try #require(log.lines.first { $0.text.contains("in place of a GPU") }, "\(log.lines)")
        #expect(fallback.level == (FallbackToCPU.systemHasCard ? .warning : .info), "\(fallback)")
        #expect(fallback.text.contains("--device cpu"))
        let loaded = try #require(log.lines.first { $0.text.contains("model loaded") })
        #expect(loaded.text.contains("device=cpu ") && loaded.text.contains("backend="))
    }

    @Test func `a CPU that was asked for is no fallback`() throws {
        let log = Recorder()
        _ = try load(.cpu, log: log)
        _ = try load(.automatic, backend: .simd, log: log)
        #expect(!log.lines.contains { $0.text.contains("in place of a GPU") })
    }

    @Test(arguments: [
        CUDAError.Kind.driverIncomplete, .driverTooOld, .noDevice, .outOfMemory, .noKernels, .noImage, .refused,
        .library,
    ]) func `a GPU or driver that is there and cannot be used is a warning`(kind: CUDAError.Kind) {
        #expect(FallbackToCPU.level(for: CUDAError(kind, "why"), hasCard: true) == .warning)
        #expect(FallbackToCPU.level(for: CUDAError(kind, "why"), hasCard: false) == .warning)
    }

    @Test func `a missing driver is a warning only beside a GPU, and a failure at work no fallback at all`() {
        let missing = CUDAError(.driverMissing, "why")
        #expect(FallbackToCPU.level(for: missing, hasCard: false) == .info)
        #expect(FallbackToCPU.level(for: missing, hasCard: true) == .warning)
        #expect(FallbackToCPU.level(for: ModelError("heads of 16"), hasCard: true) == .warning)
        for kind in [CUDAError.Kind.fault, .lost] {
            #expect(FallbackToCPU.level(for: CUDAError(kind, "why"), hasCard: true) == nil)
        }
        #expect(FallbackToCPU.level(for: EngineError("why"), hasCard: true) == nil)
    }

    @Test func `a GPU that was asked for and cannot be used is an error that says why`() throws {
        let error = #expect(throws: (any Error).self) { try load(.cuda(0)) }
        #expect(error is CUDAError || error is ModelError)
        #expect(error.map { "\($0)" }?.contains("--device cpu") == true)
    }

    @Test func `a GPU and a backend of the CPU exclude each other`() throws {
        let error = #expect(throws: EngineError.self) { try load(.cuda(0), backend: .reference) }
        #expect(error?.description.contains("cuda:0") == true)
        #expect(try load(.automatic, backend: .reference).decoder.name == "reference")
    }
}

/// Keeps what is logged, metadata behind the message.
private final class Recorder: LogHandler, Sendable {
    private let messages = Mutex<[(level: Logger.Level, text: String)]>([])

    var lines: [(level: Logger.Level, text: String)] { messages.withLock { $0 } }

    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        let details = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        messages.withLock { $0.append((event.level, event.message.description + details)) }
    }
}
