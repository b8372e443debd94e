import CrumbTokenizer
import Testing

/// Ids and texts equal to those of Hugging Face `tokenizers`.
@Suite struct ReferenceTests {
    @Test("Texts get the ids of the reference", arguments: TokenizerVectors.families)
    func encodes(family: String) throws {
        let vectors = try TokenizerVectors.family(family)
        let tokenizer = try Tokenizer(json: vectors.json)
        #expect(vectors.cases.count == 300)
        for entry in vectors.cases {
            #expect(tokenizer.encode(entry.text, addSpecialTokens: true) == entry.ids, "\(entry.text.debugDescription)")
            let plain = tokenizer.encode(entry.text, addSpecialTokens: false, parseSpecialTokens: false)
            #expect(plain == entry.plain, "\(entry.text.debugDescription)")
        }
    }

    @Test("Ids get the text of the reference", arguments: TokenizerVectors.families)
    func decodes(family: String) throws {
        let vectors = try TokenizerVectors.family(family)
        let tokenizer = try Tokenizer(json: vectors.json)
        for entry in vectors.cases {
            #expect(bytes(tokenizer.decode(entry.ids, skipSpecialTokens: false)) == bytes(entry.decoded))
            #expect(bytes(tokenizer.decode(entry.ids, skipSpecialTokens: true)) == bytes(entry.clean))
        }
        #expect(vectors.loose.count == 40)
        for entry in vectors.loose {
            #expect(bytes(tokenizer.decode(entry.ids, skipSpecialTokens: false)) == bytes(entry.decoded))
        }
    }

    @Test("Random mixtures of all options behave as in the reference")
    func options() throws {
        let groups = try TokenizerVectors.options()
        #expect(groups.count == 60)
        for (number, group) in groups.enumerated() {
            let tokenizer = try Tokenizer(json: group.json)
            for entry in group.cases {
                let place: Comment = "tokenizer \(number), \(entry.text.debugDescription)"
                #expect(tokenizer.encode(entry.text, addSpecialTokens: true) == entry.ids, place)
                let plain = tokenizer.encode(entry.text, addSpecialTokens: false, parseSpecialTokens: false)
                #expect(plain == entry.plain, place)
                #expect(bytes(tokenizer.decode(entry.ids, skipSpecialTokens: false)) == bytes(entry.decoded), place)
                #expect(bytes(tokenizer.decode(entry.ids, skipSpecialTokens: true)) == bytes(entry.clean), place)
            }
            for entry in group.loose {
                let text = tokenizer.decode(entry.ids, skipSpecialTokens: false)
                #expect(bytes(text) == bytes(entry.decoded), "tokenizer \(number), \(entry.ids)")
            }
        }
    }
}
