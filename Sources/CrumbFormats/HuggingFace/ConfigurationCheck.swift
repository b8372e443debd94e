package import CrumbJSON

/// What a `config.json` must say so that its weights can be read at all. The ranges of its numbers are checked where
/// they are used: in the model made from it.
package struct ConfigurationCheck {
    private let path: String
    private let configuration: JSONObject

    package init(path: String, configuration: JSONObject) {
        self.path = path
        self.configuration = configuration
    }

    /// - Throws: `FormatError` where the weights are quantized by another program.
    package func run() throws(FormatError) {
        guard let quantization = configuration["quantization_config"], !quantization.isNull else { return }
        guard quantization["quant_method"]?.string == "crumb" else {
            throw FormatError(
                path: path,
                reason: "the weights are quantized by"
                    + " \(JSON.serialize(quantization["quant_method"] ?? nil).prefix(40)), which cannot be read; give the"
                    + " unquantized model or one quantized by crumb")
        }
    }
}
