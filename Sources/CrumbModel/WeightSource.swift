package import CrumbFormats
import CrumbTensor

/// Where a decoder's weights come from, by Hugging Face name.
///
/// `CheckpointWeights` serves unquantized checkpoints; a reader of quantized ones gives another storage for the same
/// names.
package protocol WeightSource {
    /// The checkpoint's file or folder, for errors.
    var path: String { get }

    /// The matrix of the linear layer or embedding `name` (without `.weight`).
    ///
    /// - Throws: Where it is missing or cannot be a weight matrix.
    func storage(_ name: String) throws -> LinearWeight.Storage

    /// The fp32 numbers of the vector `name` (a norm or a bias, name in full).
    ///
    /// - Throws: Where it is missing or does not have `count` finite numbers.
    func vector(_ name: String, count: Int) throws -> [Float]
}

/// The weights of an unquantized GGUF file or Hugging Face folder, used where they lie.
package struct CheckpointWeights: WeightSource {
    private let checkpoint: any Checkpoint

    package init(_ checkpoint: any Checkpoint) { self.checkpoint = checkpoint }

    package var path: String { checkpoint.path }

    /// - Throws: `ModelError` for a tensor of integers or one that is no matrix; the checkpoint's error for a missing one.
    package func storage(_ name: String) throws -> LinearWeight.Storage {
        let view = try checkpoint.tensor(name + ".weight")
        guard view.shape.count == 2, view.rows > 0, view.columns > 0 else {
            throw ModelError("\(checkpoint.path): \(view.name) has shape \(view.shape), but a matrix belongs there")
        }
        guard view.type.isWeight else {
            throw ModelError(
                "\(checkpoint.path): \(view.name) is stored as \(view.type.rawValue), which is no weight type")
        }
        return .dense(view)
    }

    /// - Throws: `ModelError` for a wrong length, a type that is no weight or a number that is not finite.
    package func vector(_ name: String, count: Int) throws -> [Float] {
        let view = try checkpoint.tensor(name)
        guard view.shape == [count], view.type.isWeight else {
            throw ModelError(
                "\(checkpoint.path): \(name) is \(view.type.rawValue) of shape \(view.shape), but \(count) weights belong there"
            )
        }
        let vector = Dequantizer.dequantize(view)
        guard vector.allSatisfy(\.isFinite) else {
            throw ModelError("\(checkpoint.path): \(name) holds a number that is not finite; the file is damaged")
        }
        return vector
    }
}
