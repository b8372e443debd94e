import CrumbABI
import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbQuant
import CrumbTensor

/// Puts the finished folder together beside its final place and moves it there when all of it is on disk.
final class FolderWriter {
    /// Where the folder is put together.
    let folder: PartialFolder
    private let options: QuantizationOptions
    private let source: LoadedModel
    private let plan: BudgetPlan
    private let work: WorkFolder
    private let names: TensorNames
    private var grouped: [String: QuantizationConfiguration.Grouped] = [:]

    init(
        options: QuantizationOptions, source: LoadedModel, plan: BudgetPlan, work: WorkFolder, names: TensorNames
    ) {
        self.options = options
        self.source = source
        self.plan = plan
        self.work = work
        self.names = names
        folder = PartialFolder(path: FileSystem.join(work.path, "folder"))
    }

    /// Bits of the embedding; tied to the head, the larger of what was asked for either.
    var embeddingBits: Int {
        let configuration = source.configuration
        // Groups of 32 features do not fit every width.
        guard configuration.hiddenSize % GroupedMatrix.groupSize == 0 else { return 16 }
        guard configuration.tieWordEmbeddings else { return options.embeddingBits ?? Self.defaultBits }
        return [options.embeddingBits, options.headBits].compactMap { $0 }.max() ?? Self.defaultBits
    }

    /// Bits of the head.
    var headBits: Int {
        if source.configuration.tieWordEmbeddings { return embeddingBits }
        return source.configuration.hiddenSize % GroupedMatrix.groupSize == 0
            ? options.headBits ?? Self.defaultBits : 16
    }

    /// 8 bits in groups of 32: SmolLM2-135M's perplexity is 0.005 % above that with 16 bits, with 4 bits 13 %.
    private static let defaultBits = 8

    /// Writes the tensors and what is needed to load them, and counts their bytes.
    func writeTensors(_ summary: inout QuantizationSummary) throws {
        // What a run that was stopped here has left would be taken for a part of this one.
        folder.remove()
        try folder.make()
        let tensors = try collectTensors()
        summary.totalBytes = tensors.reduce(0) { $0 + $1.bytes.count }
        try folder.write(tensors, tokenizerOf: source)
        try writeConfiguration(calibration: nil, measured: nil)
    }

    /// Writes what tells about the model, the digests of all files, and moves the folder to its place.
    func finish(_ summary: QuantizationSummary, calibration: String, tokens: Int) throws {
        let text = JSONObject([
            ("text", .string(calibration)), ("tokens", JSONValue(tokens)),
            ("method", .string(options.method.rawValue)), ("seed", .string(String(options.seed))),
        ])
        var measured = JSONObject([
            ("bits_per_weight", JSONValue(summary.bitsPerWeight)), ("linear_weights", JSONValue(summary.linearWeights)),
            ("linear_bytes", JSONValue(summary.linearBytes)), ("total_bytes", JSONValue(summary.totalBytes)),
        ])
        summary.measured?.write(into: &measured)
        try writeConfiguration(calibration: .object(text), measured: .object(measured))
        let card = ModelCard.text(
            ModelCard.Facts(
                name: FileSystem.lastComponent(of: options.outputPath),
                source: FileSystem.lastComponent(of: options.modelPath), summary: summary,
                calibration: calibration, options: options))
        try folder.finish(readMe: card, to: options.outputPath)
    }

    private func writeConfiguration(calibration: JSONValue?, measured: JSONValue?) throws {
        var matrices: [String: QuantizationConfiguration.Matrix] = [:]
        // The weights of a variant are dense, and need no description.
        for (layer, shapes) in plan.shapes.enumerated() where options.storage.isPacked {
            for (projection, shape) in shapes {
                matrices[names.weight(layer, projection)] = QuantizationConfiguration.Matrix(
                    shape: shape, order: names.order(layer, projection))
            }
        }
        try folder.writeConfiguration(
            of: source,
            QuantizationConfiguration(
                matrices: matrices, grouped: grouped, calibration: calibration, measured: measured))
    }

    /// All tensors in the order of the model.
    private func collectTensors() throws -> [TensorView] {
        let checkpoint = source.checkpoint
        let weights = source.forward.weights
        var tensors = try table(weights.embedding, bits: embeddingBits)
        for layer in plan.shapes.indices {
            let prefix = "model.layers.\(layer)."
            tensors.append(plain(try checkpoint.tensor(prefix + "input_layernorm.weight")))
            tensors.append(plain(try checkpoint.tensor(prefix + "post_attention_layernorm.weight")))
            let file = try SafetensorsFile(path: work.tensorPath(layer))
            for projection in Projection.allCases {
                if options.storage.isPacked, names.ownsOrder(projection) {
                    tensors.append(try file.tensor(names.order(layer, projection)))
                }
                tensors.append(try file.tensor(names.weight(layer, projection)))
                if weights.layers[layer][projection].bias != nil {
                    tensors.append(plain(try checkpoint.tensor(prefix + projection.name + ".bias")))
                }
            }
        }
        tensors.append(plain(try checkpoint.tensor("model.norm.weight")))
        if !source.configuration.tieWordEmbeddings { tensors += try table(weights.head, bits: headBits) }
        return tensors
    }

    /// A norm or bias as it is, or in fp32 where the source has it in blocks, which safetensors has no name for.
    private func plain(_ view: TensorView) -> TensorView {
        if view.type.blockWeights == 1 { return view }
        return HeapBuffer(Dequantizer.dequantize(view)).tensor(view.name, .f32, view.shape)
    }

    /// The tensors of an embedding or head at some number of bits.
    private func table(_ weight: LinearWeight, bits: Int) throws -> [TensorView] {
        guard case .dense(let view) = weight.storage else { preconditionFailure("\(weight.name) is quantized already") }
        let name = weight.name + ".weight"
        guard bits < 16 else {
            if view.type == .f16 || view.type == .bf16 { return [view] }
            return [halfPrecision(view, name: name)]
        }
        let scalesName = names.scales(name)
        let result: (codes: TensorView, scales: TensorView)
        do {
            result = try GroupedQuantizer(bits: bits, pool: source.pool).quantize(
                name: name, scalesName: scalesName, rows: view.rows, columns: view.columns
            ) { n, row in
                Dequantizer.dequantizeRow(view, n, into: UnsafeMutableBufferPointer(start: row, count: view.columns))
            }
        } catch {
            throw PipelineError("\(source.path): \(error)")
        }
        grouped[name] = QuantizationConfiguration.Grouped(bits: bits, scales: scalesName)
        return [result.codes, result.scales]
    }

    private func halfPrecision(_ view: TensorView, name: String) -> TensorView {
        let buffer = HeapBuffer(byteCount: view.count * 2)
        var row = [Float](repeating: 0, count: view.columns)
        for n in 0..<view.rows {
            row.withUnsafeMutableBufferPointer { values in
                Dequantizer.dequantizeRow(view, n, into: values)
            }
            for (k, value) in row.enumerated() {
                buffer.mutableBytes.storeBytes(
                    of: halfBits(value).littleEndian, toByteOffset: (n * view.columns + k) * 2, as: UInt16.self)
            }
        }
        return buffer.tensor(name, .f16, view.shape)
    }
}
