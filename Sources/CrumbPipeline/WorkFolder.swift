import CrumbABI
import CrumbDigest
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbPacked
import CrumbQuant
import CrumbTensor
import Glibc

/// Work in progress: the layers done so far, each in files of its own beside the output folder, so that a run that was
/// stopped at any moment loses at most the layer in work.
///
/// A layer counts as done when its report, written last and atomically, is there. A lock keeps two runs apart.
final class WorkFolder {
    let path: String
    private let lock: Int32
    /// Layers that are done, from the first on.
    private(set) var doneLayers = 0

    /// Opens or makes the folder.
    ///
    /// - Parameter fingerprint: What the result depends on: source, options, text. A folder of another run is refused.
    /// - Throws: `PipelineError` when another run works there or left its state there; `FormatError` from the disk.
    init(path: String, fingerprint: JSONObject, resume: Bool, layers: Int) throws {
        self.path = path
        if mkdir(path, 0o755) != 0, errno != EEXIST {
            throw PipelineError(
                "\(path): the folder for work in progress cannot be made: \(systemMessage())")
        }
        lock = open(FileSystem.join(path, "lock"), O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
        guard lock >= 0 else {
            throw PipelineError("\(path): the lock cannot be opened: \(systemMessage())")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw PipelineError("\(path): another run is working there; wait for it or choose another output folder")
        }
        try adopt(JSON.serialize(.object(fingerprint), pretty: true), resume: resume, layers: layers)
    }

    deinit { if lock >= 0 { close(lock) } }

    private func adopt(_ fingerprint: String, resume: Bool, layers: Int) throws {
        let file = FileSystem.join(path, "run.json")
        if resume, FileSystem.exists(file) {
            let known = String(decoding: try FileSystem.read(file, limit: 1 << 24), as: UTF8.self)
            guard known == fingerprint else {
                throw PipelineError(
                    "\(path) holds the work of a run with another source, text or other options; "
                        + "use the same ones, choose another output folder, or start anew with --no-resume")
            }
            while doneLayers < layers, isWhole(doneLayers) { doneLayers += 1 }
            return
        }
        for layer in 0..<layers {
            unlink(reportPath(layer))
            unlink(tensorPath(layer))
        }
        try AtomicFile.write(fingerprint, to: file)
    }

    /// Whether a layer's files are there and as they were written: damage here would get a good digest at the end.
    private func isWhole(_ layer: Int) -> Bool {
        guard FileSystem.exists(reportPath(layer)),
            let report = try? JSON.parse(
                FileSystem.read(reportPath(layer), limit: 1 << 20), source: reportPath(layer)),
            let digest = try? FileDigest.sha256(of: tensorPath(layer))
        else { return false }
        return report["sha256"]?.string == digest
    }

    private func reportPath(_ layer: Int) -> String { FileSystem.join(path, "layer-\(layer).json") }
    func tensorPath(_ layer: Int) -> String { FileSystem.join(path, "layer-\(layer).safetensors") }

    /// Stores a layer for good.
    func store(_ layer: Int, _ matrices: [QuantizedLayerMatrix], names: TensorNames) throws {
        var tensors: [TensorView] = []
        for matrix in matrices {
            switch matrix.storage {
            case .packed(let packed):
                tensors.append(packed.records)
                if names.ownsOrder(matrix.projection) {
                    tensors.append(orderTensor(packed.order, name: names.order(layer, matrix.projection)))
                }
            case .dense(let view): tensors.append(view)
            case .grouped: preconditionFailure("layer \(layer) has a matrix in groups")
            }
        }
        let writer = try SafetensorsWriter(path: tensorPath(layer), tensors: tensors.map(\.layout))
        for tensor in tensors { try writer.append(tensor) }
        try writer.finish()
        var report = JSONObject([("sha256", .string(try FileDigest.sha256(of: tensorPath(layer))))])
        for matrix in matrices {
            report[matrix.projection.rawValue] = [
                "output": JSONValue(matrix.error.relativeOutputError),
                "weight": JSONValue(matrix.error.relativeWeightError),
            ]
        }
        try AtomicFile.write(JSON.serialize(.object(report)), to: reportPath(layer))
        doneLayers = max(doneLayers, layer + 1)
    }

    /// The errors of a stored layer's matrices.
    func errors(_ layer: Int) throws -> [Projection: (output: Double, weight: Double)] {
        let report = try JSON.parse(FileSystem.read(reportPath(layer), limit: 1 << 20), source: reportPath(layer))
        var result: [Projection: (output: Double, weight: Double)] = [:]
        for projection in Projection.allCases {
            guard let entry = report.object?[projection.rawValue]?.object else { continue }
            result[projection] = (entry["output"]?.double ?? 0, entry["weight"]?.double ?? 0)
        }
        return result
    }

    /// The matrices of a stored layer, as `store` got them.
    func load(
        _ layer: Int, shapes: [Projection: crumb_packed_shape], names: TensorNames
    ) throws -> [Projection: PackedMatrix] {
        let file = try SafetensorsFile(path: tensorPath(layer))
        var orders: [String: ChannelOrder] = [:]
        var result: [Projection: PackedMatrix] = [:]
        for projection in Projection.allCases {
            guard let shape = shapes[projection] else { continue }
            let orderName = names.order(layer, projection)
            let order: ChannelOrder
            if let known = orders[orderName] {
                order = known
            } else {
                order = try ChannelOrder.read(file.tensor(orderName), shape: shape)
                orders[orderName] = order
            }
            let packed = try PackedMatrix(
                shape: shape, records: file.tensor(names.weight(layer, projection)), order: order)
            try BlockUnpacker.validate(packed)
            result[projection] = packed
        }
        return result
    }

    /// Removes the files of a run that is complete; `path` itself too if nothing else lies there.
    func remove(layers: Int) {
        for layer in 0..<layers {
            unlink(reportPath(layer))
            unlink(tensorPath(layer))
        }
        for name in ["run.json", "lock"] { unlink(FileSystem.join(path, name)) }
        rmdir(path)
    }

    private func orderTensor(_ order: ChannelOrder, name: String) -> TensorView {
        let buffer = HeapBuffer(byteCount: order.channels.count * 2)
        for (index, channel) in order.channels.enumerated() {
            buffer.mutableBytes.storeBytes(of: channel.littleEndian, toByteOffset: index * 2, as: UInt16.self)
        }
        return buffer.tensor(name, .u16, [order.channels.count])
    }
}

/// Names of the tensors of a quantized folder.
struct TensorNames {
    func weight(_ layer: Int, _ projection: Projection) -> String { "model.layers.\(layer).\(projection.name).weight" }

    /// The order tensor, named after the first of the matrices that share it.
    func order(_ layer: Int, _ projection: Projection) -> String {
        let first = projection.role.projections[0]
        return "model.layers.\(layer).\(first.name).input_order"
    }

    /// Whether the order tensor is named after this matrix.
    func ownsOrder(_ projection: Projection) -> Bool {
        projection == projection.role.projections[0]
    }

    func scales(_ tensor: String) -> String { tensor + "_scales" }
}

extension TensorView {
    /// What a writer must know of this tensor beforehand.
    var layout: TensorLayout {
        guard let layout = TensorLayout(name: name, type: type, shape: shape) else {
            preconditionFailure("\(name): \(type) \(shape) has no size")
        }
        return layout
    }
}
