import CrumbEngine
import CrumbFormats
import CrumbJSON
import Testing

/// Distributions that Hugging Face transformers leaves of one row of logits; `Scripts/vectors/sampling.py` makes them.
struct SamplerVectorTests {
    private static let file: JSONValue = {
        let folder = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined()
        let path = folder + "/Vectors/sampling/distributions.json"
        return (try? JSON.parse(FileSystem.read(path, limit: 1 << 20), source: path)) ?? .null
    }()

    @Test(arguments: 0..<12)
    func whatIsLeftIsWhatTransformersLeaves(index: Int) throws {
        let vector = try #require(Self.file["cases"]?.array?[index])
        let logits = try #require(Self.file["logits"]?.array).compactMap { $0.double.map { Float($0) } }
        let seen = try #require(Self.file["seen"]?.array).compactMap { $0.int.map { Int32($0) } }
        let options = vector["options"]
        var sampler = try Sampler(
            SamplingOptions(
                temperature: options?["temperature"]?.double ?? 1, topK: options?["top_k"]?.int ?? 0,
                topP: options?["top_p"]?.double ?? 1, minP: options?["min_p"]?.double ?? 0,
                repetitionPenalty: options?["repetition_penalty"]?.double ?? 1, seed: 1))
        sampler.observe(seen)
        let found = try sampler.distribution(logits).sorted { $0.token < $1.token }
        let expected = try #require(vector["kept"]?.array)
        #expect(found.map { Int($0.token) } == expected.map { $0.array?[0].int })
        for (candidate, pair) in zip(found, expected) {
            let probability = try #require(pair.array?[1].double)
            #expect(abs(candidate.weight - probability) < 1e-5 * max(probability, 1e-2))
        }
    }
}
