package import CrumbCUDA
import CrumbModel
package import CrumbThreads

/// Compares what a survey says that errors cost with what they do cost: the divergence of a small model from itself with
/// one matrix's weights moved at random, in fp32.
package struct SurveyCheck {
    package struct Result: Sendable {
        package let name: String
        /// In nats a token.
        package let foretold, measured: Double

        package var isGood: Bool { foretold > measured / SurveyCheck.bound && foretold < measured * SurveyCheck.bound }
    }

    /// The survey goes by one draw of labels.
    package static let bound = 1.5

    package let results: [Result]

    /// - Throws: `CUDAError` where the card cannot.
    package init(library: KernelLibrary, blas: CuBLASTable, pool: ThreadPool) throws {
        let configuration = try CheckModel.configuration()
        let weights = try CheckModel.weights(configuration, seed: 4)
        let sizes = try TuneSizes(configuration, texts: 64, length: 24)
        let texts = CheckModel.texts(sizes.texts, length: sizes.length, configuration)
        let survey = try LossSurvey(
            weights, configuration, sequences: texts, library: library, blas: blas, pool: pool, element: .float)
        let pass = try TunePass(configuration, sizes: sizes, element: .float, library: library, blas: blas)
        let upload = ElementUpload(element: .float, pool: pool)
        let (source, moved) = (
            try DenseModel(configuration, .float, on: library.device),
            try DenseModel(configuration, .float, on: library.device)
        )
        for model in [source, moved] { try model.fill(from: weights, upload, in: pass.stream) }
        let pair = TunePair(pass: pass, teacher: source, student: moved)
        var noise = RandomStream(seed: 5)
        // Small, so that the divergence grows with its square.
        let share: Float = 0.05
        var results: [Result] = []
        for (layer, costs) in survey.channelCosts.enumerated() {
            for projection in Projection.allCases {
                let (rows, columns) = configuration.shape(of: projection)
                let address = moved.address(projection, of: layer)
                let view = DeviceView<Float>(address: address, count: rows * columns)
                let numbers = try pass.stream.download(view)
                let deviations = (0..<columns).map { k in
                    (0..<rows).reduce(Float(0)) { $0 + numbers[$1 * columns + k] * numbers[$1 * columns + k] }
                        .squareRoot() / Float(rows).squareRoot()
                }
                // Numbers from -1 to 1 have a deviation of 1 / sqrt(3).
                let other = numbers.indices.map { index in
                    numbers[index] + share * Float(3).squareRoot() * noise.symmetric() * deviations[index % columns]
                }
                try ElementUpload.copy(other, to: address, in: pass.stream)
                let total = (costs[projection] ?? []).reduce(0) { $0 + Double($1) }
                results.append(
                    Result(
                        name: "layer \(layer), \(projection)", foretold: Double(share * share) * total,
                        measured: try pair.divergence(texts)))
                try ElementUpload.copy(numbers, to: address, in: pass.stream)
            }
        }
        self.results = results
    }
}
