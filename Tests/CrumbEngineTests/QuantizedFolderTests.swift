import CrumbABI
import CrumbDigest
import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbTensor
import Testing

struct QuantizedFolderTests {
    @Test func aQuantizedFolderComputesWhatItsNumbersSay() throws {
        let (quantized, plain) = try TinyFolder.quantizedPair()
        let (left, right) = (try quantized.load(), try plain.load())
        #expect(left.formatName == "Crumb")
        let tokens: [Int32] = [256, 1, 50, 100, 200, 7]
        func logits(_ model: LoadedModel) throws -> [Float] {
            let cache = try KVCache(model.configuration, capacity: 8)
            return try model.forward.logits(for: Batch(tokens, cache: cache, logits: .all)).array
        }
        let (a, b) = (try logits(left), try logits(right))
        let range = (b.max() ?? 0) - (b.min() ?? 0)
        let worst = zip(a, b).map { abs($0 - $1) }.max() ?? .infinity
        #expect(range > 0.1)
        #expect(worst <= 1e-5 * range)
    }

    @Test func matricesOfOneInputShareTheOrderInMemory() throws {
        let model = try TinyFolder.quantizedPair().quantized.load()
        let layer = model.forward.weights.layers[0]
        guard case .packed(let q) = layer[.q].storage, case .packed(let v) = layer[.v].storage,
            case .packed(let gate) = layer[.gate].storage
        else {
            Issue.record("the projections are not packed")
            return
        }
        #expect(q.order === v.order)
        #expect(q.order !== gate.order)
    }

    @Test func theConfigurationIsReadAsItIsWritten() throws {
        let folder = try TinyFolder.quantizedPair().quantized
        let read = try #require(try QuantizationConfiguration.read(folder.configuration, source: "config.json"))
        #expect(JSONValue.object(read.json) == folder.configuration["quantization_config"])
        #expect(read.matrices.count == 14)
        #expect(read.matrices["model.layers.1.mlp.down_proj.weight"]?.shape.segmentChannels == 128)
        #expect(try QuantizationConfiguration.read(["model_type": "llama"], source: "config.json") == nil)
    }

    /// One way to damage a folder, and what the refusal must mention.
    struct Damage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let mentions: [String]
        let apply: @Sendable (TinyFolder) -> Void

        init(_ description: String, mentions: [String], _ apply: @escaping @Sendable (TinyFolder) -> Void) {
            testDescription = description
            self.mentions = mentions
            self.apply = apply
        }
    }

    private static let gate = "model.layers.0.mlp.gate_proj.weight"
    private static let down = "model.layers.1.mlp.down_proj.weight"
    private static let key = "model.layers.0.self_attn.k_proj.weight"
    private static let qkvOrder = "model.layers.0.qkv.128.order"
    private static let downOrder = "model.layers.1.own.192.order"

    private static func setting(_ key: String, _ value: JSONValue?, matrix: String? = nil)
        -> @Sendable (TinyFolder) -> Void
    {
        { folder in
            guard var configuration = folder.configuration["quantization_config"]?.object else { return }
            if let matrix, var matrices = configuration["matrices"]?.object, var entry = matrices[matrix]?.object {
                entry[key] = value
                matrices[matrix] = .object(entry)
                configuration["matrices"] = .object(matrices)
            } else {
                configuration[key] = value
            }
            folder.configuration["quantization_config"] = .object(configuration)
        }
    }

    /// Writes a half word into a tensor.
    private static func halfword(_ tensor: String, _ offset: Int, _ value: UInt16) -> @Sendable (TinyFolder) -> Void {
        { folder in
            folder.tensors[tensor]?.bytes[offset] = UInt8(value & 255)
            folder.tensors[tensor]?.bytes[offset + 1] = UInt8(value >> 8)
        }
    }

    /// The packed shape of gate: 192 x 128, 64 4-bit channels, one outlier for each tile.
    private static let gateShape = crumb_packed_shape(
        rows: 192, columns: 128, segments: 1, fourBitChannels: 64, outliersPerTile: 1)

    static let damages: [Damage] = [
        Damage("another method", mentions: ["gptq", "crumb"], setting("quant_method", "gptq")),
        Damage("a later format version", mentions: ["version is 2", "version 1"], setting("format_version", 2)),
        Damage("no format version", mentions: ["version is missing"], setting("format_version", nil)),
        Damage("another group size", mentions: ["group_size is 64"], setting("group_size", 64)),
        Damage("matrices that are no object", mentions: ["matrices"], setting("matrices", [1])),
        Damage("three segments", mentions: [gate, "3 segments"], setting("segments", 3, matrix: gate)),
        Damage(
            "four-bit channels that fill no tiles", mentions: [gate, "33 4-bit"],
            setting("four_bit_channels", 33, matrix: gate)),
        Damage("negative rows", mentions: [gate, "-1 x"], setting("rows", -1, matrix: gate)),
        Damage("rows that are a text", mentions: [gate, "rows"], setting("rows", "192", matrix: gate)),
        Damage("rows of another count", mentions: [gate, "[1, 7,"], setting("rows", 224, matrix: gate)),
        Damage("another share of 4-bit channels", mentions: [gate], setting("four_bit_channels", 0, matrix: gate)),
        Damage(
            "an order of another input", mentions: [gate, "order"], setting("order", .string(downOrder), matrix: gate)),
        Damage("an order that is not there", mentions: ["nowhere"], setting("order", "nowhere", matrix: gate)),
        Damage("no order", mentions: [gate, "order"], setting("order", nil, matrix: gate)),
        Damage("missing records", mentions: [gate]) { $0.tensors[gate] = nil },
        Damage("records of another type", mentions: [gate, "i8"]) { $0.tensors[gate]?.type = .i8 },
        Damage("records of another shape", mentions: [gate]) { folder in
            if let count = folder.tensors[gate]?.bytes.count { folder.tensors[gate]?.shape = [1, 1, count] }
        },
        Damage("a channel twice in an order", mentions: [qkvOrder, "channel"]) { folder in
            guard let bytes = folder.tensors[qkvOrder]?.bytes else { return }
            folder.tensors[qkvOrder]?.bytes[0] = bytes[2]
            folder.tensors[qkvOrder]?.bytes[1] = bytes[3]
        },
        Damage("a channel out of range", mentions: [qkvOrder, "channel 128"], halfword(qkvOrder, 10, 128)),
        Damage("a channel left out", mentions: [qkvOrder], halfword(qkvOrder, 0, 0xFFFF)),
        Damage("a channel of the other segment", mentions: [downOrder], halfword(downOrder, 0, 150)),
        Damage("an order of signed numbers", mentions: [qkvOrder, "i32"]) { folder in
            folder.tensors[qkvOrder]?.type = .i32
            folder.tensors[qkvOrder]?.shape = [64]
        },
        Damage(
            "a row scale that is not a number", mentions: [gate, "finite"],
            halfword(gate, Int(gateShape?.row_scales_offset ?? 0) + 6, 0x7E00)),
        Damage(
            "an infinite outlier", mentions: [gate, "outlier"],
            halfword(gate, Int(gateShape?.outliers_offset ?? 0) + 2, 0x7C00)),
        Damage(
            "an outlier outside its channels", mentions: [gate, "outlier"],
            halfword(gate, Int(gateShape?.outliers_offset ?? 0), 64 << 5)),
        Damage("an outlier below the last row", mentions: [key, "outlier", "last row"]) { folder in
            // 40 rows: the second tile has 8.
            guard
                let shape = crumb_packed_shape(
                    rows: 40, columns: 128, segments: 1, fourBitChannels: 64, outliersPerTile: 1)
            else { return }
            var bytes = [UInt8](repeating: 0, count: shape.byteCount)
            bytes[shape.recordBytes + Int(shape.outliers_offset)] = 8
            folder.tensors[key] = TinyFolder.Tensor(type: .u8, shape: [1, 2, shape.recordBytes], bytes: bytes)
            setting("rows", 40, matrix: key)(folder)
        },
        Damage(
            "an infinite scale of a group", mentions: ["model.embed_tokens.scales", "index 3"],
            halfword("model.embed_tokens.scales", 6, 0xFC00)),
        Damage("codes of another type", mentions: ["lm_head"]) { $0.tensors["lm_head.weight"]?.type = .i8 },
        Damage("scales of another count", mentions: ["lm_head"]) { folder in
            folder.tensors["lm_head.scales"] = TinyFolder.Tensor(
                type: .f16, shape: [264, 3], bytes: [UInt8](repeating: 0, count: 264 * 6))
        },
        Damage("missing scales", mentions: ["lm_head.scales"]) { $0.tensors["lm_head.scales"] = nil },
    ]

    @Test(arguments: damages)
    func damagedFoldersAreRefusedWithTheTensorsName(damage: Damage) throws {
        let folder = try TinyFolder.quantizedPair().quantized
        damage.apply(folder)
        do {
            _ = try folder.load()
            Issue.record("\(damage.testDescription) was loaded")
        } catch {
            let message = "\(error)"
            for mention in damage.mentions { #expect(message.contains(mention), "\(message)") }
        }
    }
}

struct FolderDigestsTests {
    private func folder() throws -> TinyFolder {
        let folder = TinyFolder()
        _ = try folder.write()
        let names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
        let digests = FolderDigests(
            files: try names.map { ($0, try FileDigest.sha256(of: folder.path + "/" + $0)) })
        try AtomicFile.write(JSON.serialize(digests.json), to: folder.path + "/" + FolderDigests.fileName)
        return folder
    }

    private func findings(_ folder: TinyFolder) throws -> [FolderDigests.Finding] {
        try FolderDigests(folder: folder.path).findings(folder: folder.path)
    }

    @Test func untouchedFoldersHaveNothingToFind() throws {
        let folder = try folder()
        let findings = try findings(folder)
        #expect(
            findings.map(\.name) == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
        #expect(findings.allSatisfy { $0.problem == nil && $0.bytes > 0 })
        #expect(throws: Never.self) { try folder.open(verifiesDigests: true) }
    }

    @Test func aChangedByteIsFoundAndRefusedOnLoad() throws {
        let folder = try folder()
        let path = folder.path + "/model.safetensors"
        var bytes = try FileSystem.read(path, limit: 1 << 30)
        bytes[bytes.count - 1] ^= 1
        try AtomicFile.write(bytes, to: path)
        let found = try findings(folder).filter { $0.problem != nil }
        #expect(found.map(\.name) == ["model.safetensors"])
        #expect(found.first?.problem?.hasPrefix("changed") == true)
        // The number is another one, but still a number: only its digest gives it away.
        #expect(throws: Never.self) { try folder.open() }
        let error = #expect(throws: EngineError.self) { try folder.open(verifiesDigests: true) }
        #expect(error?.description.contains("model.safetensors") == true)
    }

    @Test func missingAndForeignFilesAreFound() throws {
        let folder = try folder()
        try AtomicFile.write("{}", to: folder.path + "/model.safetensors.index.json")
        try AtomicFile.write("", to: folder.path + "/.hidden")
        let digests = try FolderDigests(folder: folder.path)
        let more = FolderDigests(files: digests.files + [("gone.txt", String(repeating: "0", count: 64))])
        let problems = try more.findings(folder: folder.path).filter { $0.problem != nil }
        #expect(problems.map(\.name) == ["gone.txt", "model.safetensors.index.json"])
        #expect(problems.first?.problem == "is missing")
    }

    @Test(arguments: [
        #"{"algorithm": "md5", "files": {}}"#, #"{"files": {}}"#, #"{"algorithm": "sha256", "files": {"a": "short"}}"#,
        #"{"algorithm": "sha256", "files": {"../a": "0000000000000000000000000000000000000000000000000000000000000000"}}"#,
    ])
    func digestFilesThatCannotBeTrustedAreRefused(text: String) throws {
        let folder = try folder()
        try AtomicFile.write(text, to: folder.path + "/" + FolderDigests.fileName)
        #expect(throws: EngineError.self) { try FolderDigests(folder: folder.path) }
    }
}
