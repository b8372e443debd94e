import CrumbCUDA
import CrumbEngine
import CrumbModel
import CrumbTestSupport
import CrumbThreads
import Foundation
import Logging
import Testing

@Suite struct LoaderTests {
    /// A tiny model, whose heads of 16 features no GPU kernel serves: no machine runs it on a GPU.
    private func load(_ device: DeviceChoice, backend: BackendChoice = .automatic) throws -> LoadedModel {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try TinyModel().write(to: folder)
        return try ModelLoader(
            backend: backend, device: device, pool: ThreadPool(threadCount: 1), logger: Logger(label: "test")
        ).load(folder)
    }

    @Test(arguments: [DeviceChoice.cpu, .automatic]) func `a model that no GPU serves runs on the CPU`(
        _ device: DeviceChoice
    ) throws {
        let model = try load(device)
        #expect(model.decoder === model.forward)
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
