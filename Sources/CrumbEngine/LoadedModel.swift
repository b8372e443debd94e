package import CrumbFormats
package import CrumbModel
package import CrumbTemplate
package import CrumbThreads
package import CrumbTokenizer

/// A model in memory with everything that is needed to use it: weights bound to a backend, tokenizer, chat template and
/// the settings its makers recommend. `ModelLoader` makes it. One caller at a time.
package final class LoadedModel {
    package let checkpoint: any Checkpoint
    /// nil where the model is not quantized by Crumb.
    package let quantization: QuantizationConfiguration?
    /// The weights as they lie on disk, on the CPU.
    package let forward: DecoderForward
    /// What the model is run with: `forward` itself, or the same weights on a GPU.
    package let decoder: any Decoder
    package let pool: ThreadPool
    package let tokenizer: Tokenizer
    /// nil where the checkpoint has none.
    package let chatTemplate: ChatTemplate?
    /// Tokens that end an answer.
    package let endTokens: Set<Int32>
    package let samplingDefaults: SamplingOptions

    init(
        checkpoint: any Checkpoint, quantization: QuantizationConfiguration?, forward: DecoderForward,
        decoder: any Decoder,
        pool: ThreadPool, tokenizer: Tokenizer, chatTemplate: ChatTemplate?, endTokens: Set<Int32>,
        samplingDefaults: SamplingOptions
    ) {
        self.checkpoint = checkpoint
        self.quantization = quantization
        self.forward = forward
        self.decoder = decoder
        self.pool = pool
        self.tokenizer = tokenizer
        self.chatTemplate = chatTemplate
        self.endTokens = endTokens
        self.samplingDefaults = samplingDefaults
    }

    /// The same weights and tokenizer, run with another decoder.
    func run(with decoder: any Decoder) -> LoadedModel {
        LoadedModel(
            checkpoint: checkpoint, quantization: quantization, forward: forward, decoder: decoder, pool: pool,
            tokenizer: tokenizer, chatTemplate: chatTemplate, endTokens: endTokens, samplingDefaults: samplingDefaults)
    }

    package var path: String { checkpoint.path }
    package var configuration: ModelConfiguration { forward.configuration }

    /// "Crumb", "GGUF" or "Hugging Face".
    package var formatName: String { checkpoint.formatName(quantizedAs: quantization) }
}

extension Checkpoint {
    /// What a model is stored as, for people: "Crumb" where Crumb quantized it, else the checkpoint's own name.
    package func formatName(quantizedAs quantization: QuantizationConfiguration?) -> String {
        quantization == nil ? formatName : "Crumb"
    }
}
