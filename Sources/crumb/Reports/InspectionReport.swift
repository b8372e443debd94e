import CrumbEngine
import CrumbFormats
import CrumbJSON
import CrumbModel
import CrumbReport

/// An inspection for people and for programs.
struct InspectionReport {
    let inspection: Inspection
    /// Whether every tensor is listed, or tensors that differ only by their layer as one.
    let listsAll: Bool

    var outcome: Outcome {
        Outcome(text: facts.plain() + "\n" + tensorTable.plain(), json: json)
    }

    private var facts: TextTable {
        let model = inspection.configuration
        var table = TextTable([("", .left), ("", .left)])
        table.append(["path", inspection.checkpoint.path])
        table.append(["format", inspection.formatName])
        table.append(["architecture", model.modelType])
        table.append(["layers", "\(model.numHiddenLayers)"])
        table.append(["hidden size", "\(model.hiddenSize), \(model.intermediateSize) in the MLP"])
        table.append([
            "attention",
            "\(model.numAttentionHeads) heads of \(model.headDim), \(model.numKeyValueHeads) for keys and values",
        ])
        table.append(["vocabulary", Figures.count(model.vocabSize)])
        table.append(["context", Figures.count(model.maxPositionEmbeddings)])
        let bits = Figures.decimal(inspection.bitsPerWeight, places: 3)
        table.append([
            "linear layers",
            "\(Figures.count(inspection.linearWeights)) weights, \(bits) bits each, \(Figures.bytes(inspection.linearBytes))",
        ])
        table.append(["all tensors", Figures.bytes(inspection.totalBytes)])
        return table
    }

    private var tensorTable: TextTable {
        var table = TextTable([
            ("tensor", .left), ("count", .right), ("type", .left), ("shape", .left), ("bits", .right), ("size", .right),
        ])
        for kind in listsAll ? inspection.tensors.map({ Kind($0, name: $0.name) }) : kinds {
            table.append([
                kind.name, "\(kind.count)", kind.types.joined(separator: ", "), kind.shapes.joined(separator: ", "),
                Figures.decimal(Double(kind.bytes) * 8 / Double(max(kind.weights, 1)), places: 2),
                Figures.bytes(kind.bytes),
            ])
        }
        return table
    }

    /// Tensors that differ only by the number of their layer.
    private struct Kind {
        let name: String
        var count = 0
        var types: [String] = []
        var shapes: [String] = []
        var weights = 0
        var bytes = 0

        init(_ tensor: Inspection.Tensor, name: String) {
            self.name = name
            add(tensor)
        }

        mutating func add(_ tensor: Inspection.Tensor) {
            let shape = "(" + tensor.shape.map(String.init).joined(separator: ", ") + ")"
            count += 1
            weights += tensor.count
            bytes += tensor.bytes
            if !types.contains(tensor.type) { types.append(tensor.type) }
            if !shapes.contains(shape) { shapes.append(shape) }
        }
    }

    private var kinds: [Kind] {
        var kinds: [Kind] = []
        var places: [String: Int] = [:]
        for tensor in inspection.tensors {
            let name = tensor.name.split(separator: ".", omittingEmptySubsequences: false)
                .map { part in part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? "*" : part }
                .joined(separator: ".")
            if let place = places[name] {
                kinds[place].add(tensor)
            } else {
                places[name] = kinds.count
                kinds.append(Kind(tensor, name: name))
            }
        }
        return kinds
    }

    private var json: JSONObject {
        let model = inspection.configuration
        var object: JSONObject = [
            "path": .string(inspection.checkpoint.path), "format": .string(inspection.formatName),
            "architecture": .string(model.modelType), "layers": JSONValue(model.numHiddenLayers),
            "hiddenSize": JSONValue(model.hiddenSize), "intermediateSize": JSONValue(model.intermediateSize),
            "heads": JSONValue(model.numAttentionHeads), "keyValueHeads": JSONValue(model.numKeyValueHeads),
            "headSize": JSONValue(model.headDim), "vocabularySize": JSONValue(model.vocabSize),
            "contextLength": JSONValue(model.maxPositionEmbeddings), "quantized": .bool(inspection.quantization != nil),
            "bitsPerWeight": JSONValue(inspection.bitsPerWeight), "linearWeights": JSONValue(inspection.linearWeights),
            "linearBytes": JSONValue(inspection.linearBytes), "totalBytes": JSONValue(inspection.totalBytes),
        ]
        if let calibration = inspection.quantization?.calibration { object["calibration"] = calibration }
        if let measured = inspection.quantization?.measured { object["measured"] = measured }
        object["tensors"] = .array(
            inspection.tensors.map { tensor in
                [
                    "name": .string(tensor.name), "type": .string(tensor.type),
                    "shape": .array(tensor.shape.map { JSONValue($0) }), "bytes": JSONValue(tensor.bytes),
                    "bitsPerWeight": JSONValue(tensor.bitsPerWeight), "linear": .bool(tensor.isLinear),
                ]
            })
        return object
    }
}
