import CrumbJSON
import CrumbTokenizer
import FoundationEssentials

/// One file of Tests/Vectors/tokenizer, made by Scripts/vectors/tokenizer.py.
struct TokenizerVectors {
    /// A text and what the reference makes of it.
    struct Case {
        let text: String
        /// With the tokens of the post-processor.
        let ids: [Int32]
        /// Without them, and with the names of special tokens taken for text.
        let plain: [Int32]
        /// The text of `ids` with and without special tokens.
        let decoded: String
        let clean: String
    }

    /// Ids in random order and their text.
    struct Loose {
        let ids: [Int32]
        let decoded: String
    }

    let json: JSONValue
    let cases: [Case]
    let loose: [Loose]

    static let families = ["gpt2", "smollm2", "llama3", "qwen2", "llama2"]

    /// The vectors of one family.
    static func family(_ name: String) throws -> TokenizerVectors { TokenizerVectors(try read(name)) }

    /// The vectors of random tokenizers.
    static func options() throws -> [TokenizerVectors] {
        (try read("options").array ?? []).map { TokenizerVectors($0) }
    }

    private static func read(_ name: String) throws -> JSONValue {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let file = folder.appending(path: "Vectors/tokenizer/\(name).json")
        return try JSON.parse([UInt8](try Data(contentsOf: file)), source: file.path)
    }

    private init(_ value: JSONValue) {
        func ids(_ value: JSONValue?) -> [Int32]? { value?.array?.compactMap(\.int).map(Int32.init) }
        json = value["tokenizer"] ?? .null
        let prefix = value["prefix"]?.int ?? 0
        cases = (value["cases"]?.array ?? []).map { entry in
            let text = entry["text"]?.string ?? ""
            let all = ids(entry["ids"]) ?? []
            let decoded = entry["decoded"]?.string ?? text
            return Case(
                text: text, ids: all,
                plain: ids(entry["plain"]) ?? ids(entry["bare"]) ?? Array(all.dropFirst(prefix)),
                decoded: decoded, clean: entry["clean"]?.string ?? decoded)
        }
        loose = (value["loose"]?.array ?? []).map {
            Loose(ids: ids($0["ids"]) ?? [], decoded: $0["decoded"]?.string ?? "")
        }
    }
}

/// The UTF-8 bytes: Swift's `==` on strings would not tell canonically equivalent texts apart.
func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
