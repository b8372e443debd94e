import CrumbEngine
import CrumbFormats
import CrumbModel
import CrumbPipeline
import CrumbTensor
import CrumbTestSupport
import CrumbThreads
import Logging
import Testing

@Suite struct WeightRangesTests {
    /// Largest minus smallest of each run of 32 numbers, sorted.
    private func ranges(_ weights: [Float]) -> [Float] {
        stride(from: 0, to: weights.count, by: 32).map { start in
            let group = weights[start..<start + 32]
            return (group.max() ?? 0) - (group.min() ?? 0)
        }.sorted()
    }

    @Test("quantiles are those of the sorted ranges, for a layer and for all")
    func quantiles() throws {
        let folder = try TemporaryFolder()
        try TinyModel().write(to: folder.path + "/model")
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let model = try ModelLoader(pool: ThreadPool(threadCount: 2), logger: logger).load(folder.path + "/model")
        var shares: [Double] = []
        let measured = try WeightRanges(model) { shares.append($0) }
        #expect(measured.kinds.map(\.projection) == Projection.allCases)
        #expect(shares == shares.sorted() && shares.count == 2 * Projection.allCases.count)

        let down = try #require(measured.kinds.first { $0.projection == .down })
        let file = try SafetensorsFile(path: folder.path + "/model/model.safetensors")
        var all: [Float] = []
        for layer in 0..<2 {
            let expected = ranges(Dequantizer.dequantize(try file.tensor("model.layers.\(layer).mlp.down_proj.weight")))
            all += expected
            // 64 rows of 4 groups: 5 % are 12.8 of them.
            #expect(down.layers[layer].quantiles[0] == expected[12])
            #expect(down.layers[layer].quantiles[2] == expected[127])
            #expect(down.layers[layer].largest == expected[255])
        }
        #expect(down.all.quantiles[4] == all.sorted()[486])
    }
}
