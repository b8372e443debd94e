import CrumbEngine
import CrumbFormats
import Glibc
import Testing

/// A file that is cut while it is mapped ends in a sentence and not in a signal.
struct ChangedFileTests {
    /// Cuts the last byte off the weights: the page it lies in, which the norm of the last layer was copied from, stays.
    private func cut(_ folder: TinyFolder) {
        let path = folder.path + "/model.safetensors"
        var status = stat()
        guard stat(path, &status) == 0, truncate(path, status.st_size - 1) == 0 else {
            Issue.record("\(path) cannot be cut")
            return
        }
    }

    @Test func generationNoticesWithin64Steps() throws {
        let folder = TinyFolder()
        let model = try folder.load()
        let options = GenerationOptions(maxTokens: 200, sampling: .greedy, ignoresEnd: true)
        var passes = 0
        let error = #expect(throws: FormatError.self) {
            try model.complete(
                "Hello", options: options,
                isCancelled: {
                    passes += 1
                    if passes == 3 { cut(folder) }
                    return false
                })
        }
        #expect(error?.description.contains("model.safetensors: was changed while in use") == true)
        #expect(passes >= 3 && passes <= 3 + GenerationLoop.stepsBetweenChecks)
    }

    @Test func theNextPromptAndDrawNotice() throws {
        let folder = TinyFolder()
        let model = try folder.load()
        let session = try ChatSession(model)
        cut(folder)
        #expect(throws: FormatError.self) { try session.send("Hello", options: GenerationOptions(maxTokens: 1)) }
        #expect(session.messages.isEmpty)
        #expect(throws: FormatError.self) { try model.sampleBatch(sequences: 2, tokens: 4, seed: 1) }
    }
}
