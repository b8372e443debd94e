import CrumbCPU
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbTemplate
package import CrumbThreads
import CrumbTokenizer
package import Logging

/// How the arithmetic of a model is done on the CPU.
package enum BackendChoice: String, Sendable, CaseIterable {
    /// The fastest one that this machine has.
    case automatic = "auto"
    /// Vector instructions and all threads.
    case simd
    /// Plain fp32 loops on one thread: slow, and what the others are compared with.
    case reference
}

/// Opens a model: a GGUF file, a Hugging Face folder or a folder that `crumb quantize` wrote.
package struct ModelLoader {
    package var backend: BackendChoice
    package var device: DeviceChoice
    /// Whether the files of a quantized folder are compared with their digests first.
    package var verifiesDigests: Bool
    package var pool: ThreadPool
    package var logger: Logger

    /// - Parameters:
    ///   - device: What `LoadedModel.decoder` runs on.
    ///   - pool: The threads of the backend; models that are compared can share them.
    package init(
        backend: BackendChoice = .automatic, device: DeviceChoice = .cpu, verifiesDigests: Bool = false,
        pool: ThreadPool, logger: Logger
    ) {
        self.backend = backend
        self.device = device
        self.verifiesDigests = verifiesDigests
        self.pool = pool
        self.logger = logger
    }

    /// Opens and checks a model. Weights stay where they lie on disk and are mapped.
    ///
    /// - Throws: one sentence that names the file, the place and the numbers: `FormatError`, `JSONError`, `ModelError`,
    ///   `TokenizerError` or `EngineError`; `CUDAError` where a GPU was asked for and cannot be used.
    package func load(_ path: String) throws -> LoadedModel {
        let clock = ContinuousClock()
        let start = clock.now
        let checkpoint = try CheckpointReader.open(path)
        if verifiesDigests, FileSystem.isFolder(path) { try FolderDigests(folder: path).check(folder: path) }
        let configuration = try ModelConfiguration(checkpoint.configuration, source: path)
        let quantization = try QuantizationConfiguration.read(checkpoint.configuration, source: path)
        let source: any WeightSource =
            try quantization.map { try QuantizedWeights(checkpoint, configuration: $0) }
            ?? CheckpointWeights(checkpoint)
        let weights = try DecoderWeights(configuration, from: source)
        try WeightScan(pool: pool).check(weights, path: path)
        let forward = DecoderForward(configuration, weights: weights, backend: makeBackend())

        let vocabulary = try VocabularySource(checkpoint)
        let tokenizer = try vocabulary.tokenizer(within: configuration.vocabSize)
        let model = try placed(
            LoadedModel(
                checkpoint: checkpoint, quantization: quantization, forward: forward, decoder: forward, pool: pool,
                tokenizer: tokenizer,
                chatTemplate: try vocabulary.chatTemplate.map { try ChatTemplate(source: $0) },
                endTokens: try vocabulary.endTokens(tokenizer, checkpoint: checkpoint, configuration: configuration),
                samplingDefaults: try SamplingOptions(
                    generationConfiguration: checkpoint.generationConfiguration,
                    source: FileSystem.join(path, "generation_config.json"))))
        logger.info(
            "model loaded",
            metadata: [
                "path": "\(path)", "format": "\(model.formatName)", "architecture": "\(configuration.modelType)",
                "layers": "\(configuration.numHiddenLayers)", "device": "\(model.placement.device)",
                "backend": "\(model.placement.backend)", "threads": "\(pool.threadCount)",
                "seconds": "\(start.duration(to: clock.now).seconds)",
            ])
        return model
    }

    /// A loaded model, run on `device`. What it takes there is given back with the last reference to the result.
    ///
    /// - Throws: as `load` does where a GPU was asked for and cannot be used.
    package func placed(_ model: LoadedModel) throws -> LoadedModel {
        let decoder = try DeviceDecoder(choice: device, pool: pool, logger: logger)
            .choose(model.forward, wantsCPU: backend != .automatic)
        // The weights were read through the mapping while they were copied.
        if decoder !== model.forward { try model.checkpoint.checkUnchanged() }
        return model.run(with: decoder)
    }

    private func makeBackend() -> any Backend {
        switch backend {
        case .automatic, .simd: SIMDBackend(pool: pool)
        case .reference: ReferenceBackend()
        }
    }
}
