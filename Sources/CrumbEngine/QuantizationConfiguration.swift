package import CrumbABI
package import CrumbJSON
import CrumbPacked

/// The `quantization_config` of a quantized folder's `config.json`: how each tensor is stored. `Docs/Format.md` has the
/// keys.
package struct QuantizationConfiguration: Sendable {
    /// The value of `quant_method`.
    package static let method = "crumb"

    /// A matrix in the packed 2/4/16-bit layout.
    package struct Matrix: Sendable {
        package let shape: crumb_packed_shape
        /// The U16 tensor that holds its channel order; matrices with the same input name the same one.
        package let order: String

        package init(shape: crumb_packed_shape, order: String) {
            self.shape = shape
            self.order = order
        }
    }

    /// A matrix of 8- or 4-bit codes in groups of 32.
    package struct Grouped: Sendable {
        package let bits: Int
        /// The F16 tensor that holds its scales.
        package let scales: String

        package init(bits: Int, scales: String) {
            self.bits = bits
            self.scales = scales
        }
    }

    /// By tensor name.
    package let matrices: [String: Matrix]
    /// By tensor name.
    package let grouped: [String: Grouped]
    /// What the matrices were calibrated with, as it was written.
    package let calibration: JSONValue?
    /// What was measured when the folder was made, as it was written.
    package let measured: JSONValue?

    package init(
        matrices: [String: Matrix], grouped: [String: Grouped], calibration: JSONValue? = nil,
        measured: JSONValue? = nil
    ) {
        self.matrices = matrices
        self.grouped = grouped
        self.calibration = calibration
        self.measured = measured
    }

    /// Reads the configuration of a quantized folder.
    ///
    /// - Parameter configuration: The keys of `config.json`.
    /// - Returns: nil where the model is not quantized.
    /// - Throws: `EngineError` for another method or format version, and for parameters that do not describe a matrix.
    package static func read(_ configuration: JSONObject, source: String) throws -> QuantizationConfiguration? {
        guard let value = configuration["quantization_config"], !value.isNull else { return nil }
        guard let object = value.object else {
            throw EngineError("\(source): quantization_config is \(clipped(value)), but must be an object")
        }
        guard object["quant_method"]?.string == method else {
            throw EngineError(
                "\(source): the weights are quantized by \(clipped(object["quant_method"])), but only \"\(method)\" is known; "
                    + "start from the unquantized model or a GGUF file")
        }
        let version = Int(CRUMB_FORMAT_VERSION)
        guard object["format_version"]?.int == version else {
            throw EngineError(
                "\(source): the format version is \(clipped(object["format_version"])), but this program reads version "
                    + "\(version); quantize the model again, or use the program that wrote it")
        }
        guard object["group_size"]?.int == Int(CRUMB_GROUP) else {
            throw EngineError(
                "\(source): group_size is \(clipped(object["group_size"])), but this format has groups of \(CRUMB_GROUP)"
            )
        }
        var matrices: [String: Matrix] = [:]
        for (name, value) in try members("matrices") { matrices[name] = try matrix(name, value, source: source) }
        var grouped: [String: Grouped] = [:]
        for (name, value) in try members("grouped") {
            guard matrices[name] == nil else {
                throw EngineError("\(source): \(name) is listed both as a packed and as a grouped matrix")
            }
            guard let bits = value["bits"]?.int, bits == 8 || bits == 4, value["group_size"]?.int == Int(CRUMB_GROUP),
                let scales = value["scales"]?.string
            else {
                throw EngineError(
                    "\(source): \(name) has the group parameters \(clipped(value)), but bits of 8 or 4, a group_size of "
                        + "\(CRUMB_GROUP) and the name of its scales are needed")
            }
            grouped[name] = Grouped(bits: bits, scales: scales)
        }
        return QuantizationConfiguration(
            matrices: matrices, grouped: grouped, calibration: object["calibration"], measured: object["measured"])

        func members(_ key: String) throws -> [(key: String, value: JSONValue)] {
            guard let value = object[key], !value.isNull else { return [] }
            guard let members = value.object else {
                throw EngineError("\(source): \(key) is \(clipped(value)), but must be an object")
            }
            return members.entries
        }
    }

    private static func matrix(_ name: String, _ value: JSONValue, source: String) throws -> Matrix {
        func number(_ key: String) throws -> Int {
            guard let number = value[key]?.int else {
                throw EngineError("\(source): \(name) has \(key) \(clipped(value[key])), but an integer belongs there")
            }
            return number
        }
        let rows = try number("rows")
        let columns = try number("columns")
        let segments = try number("segments")
        let fourBitChannels = try number("four_bit_channels")
        let outliers = try number("outliers_per_tile")
        guard
            let shape = crumb_packed_shape(
                rows: rows, columns: columns, segments: segments, fourBitChannels: fourBitChannels,
                outliersPerTile: outliers)
        else {
            throw EngineError(
                "\(source): \(name) cannot be a packed matrix of \(rows) x \(columns) in \(segments) segments with "
                    + "\(fourBitChannels) 4-bit channels each and \(outliers) outliers per tile")
        }
        guard let order = value["order"]?.string else {
            throw EngineError("\(source): \(name) names no tensor with the order of its channels")
        }
        return Matrix(shape: shape, order: order)
    }

    private static func clipped(_ value: JSONValue?) -> String {
        guard let value else { return "missing" }
        let text = JSON.serialize(value)
        return text.utf8.count > 80 ? String(text.prefix(80)) + "..." : text
    }
}

extension QuantizationConfiguration {
    /// The object that `read` understands, tensors in the order of their names.
    package var json: JSONObject {
        var object = JSONObject()
        object["quant_method"] = .string(Self.method)
        object["format_version"] = JSONValue(Int(CRUMB_FORMAT_VERSION))
        object["group_size"] = JSONValue(Int(CRUMB_GROUP))
        object["matrices"] = .object(
            JSONObject(
                matrices.sorted { $0.key < $1.key }.map { name, matrix in
                    let parameters: JSONObject = [
                        "rows": JSONValue(matrix.shape.n), "columns": JSONValue(matrix.shape.k),
                        "segments": JSONValue(Int(matrix.shape.segments)),
                        "four_bit_channels": JSONValue(matrix.shape.fourBitChannels),
                        "outliers_per_tile": JSONValue(Int(matrix.shape.outliers_per_tile)),
                        "order": .string(matrix.order),
                    ]
                    return (name, .object(parameters))
                }))
        object["grouped"] = .object(
            JSONObject(
                grouped.sorted { $0.key < $1.key }.map { name, matrix in
                    let parameters: JSONObject = [
                        "bits": JSONValue(matrix.bits), "group_size": JSONValue(Int(CRUMB_GROUP)),
                        "scales": .string(matrix.scales),
                    ]
                    return (name, .object(parameters))
                }))
        if let calibration { object["calibration"] = calibration }
        if let measured { object["measured"] = measured }
        return object
    }
}
