import CrumbTokenizer
import Testing

@Suite struct StreamingDecoderTests {
    @Test("The pieces of a stream add up to the whole text", arguments: TokenizerVectors.families, [false, true])
    func addsUp(family: String, skips: Bool) throws {
        let vectors = try TokenizerVectors.family(family)
        let tokenizer = try Tokenizer(json: vectors.json)
        var stream = tokenizer.streamingDecoder(skipSpecialTokens: skips)
        for ids in vectors.cases.map(\.ids) + vectors.loose.map(\.ids) {
            var text: [UInt8] = []
            for id in ids { text += stream.append(id).utf8 }
            text += stream.finish().utf8
            #expect(text == bytes(tokenizer.decode(ids, skipSpecialTokens: skips)))
        }
    }

    @Test(
        "A character that comes in several tokens is held back until it is whole", arguments: TokenizerVectors.families)
    func holdsBack(family: String) throws {
        let tokenizer = try Tokenizer(json: try TokenizerVectors.family(family).json)
        let text = "x\u{1F9FF}y"
        var stream = tokenizer.streamingDecoder(skipSpecialTokens: true)
        var pieces: [String] = []
        for id in tokenizer.encode(text, addSpecialTokens: false) {
            let piece = stream.append(id)
            #expect(!piece.unicodeScalars.contains("\u{FFFD}"))
            pieces.append(piece)
        }
        pieces.append(stream.finish())
        #expect(pieces.joined() == text)
        #expect(pieces.contains(""), "the four bytes are no single token, so something was held back")
    }

    @Test("A character that stays unfinished becomes one replacement character at the end")
    func unfinished() throws {
        let tokenizer = try Tokenizer(json: try TokenizerVectors.family("gpt2").json)
        let ids = tokenizer.encode("\u{1F9FF}", addSpecialTokens: false)
        var stream = tokenizer.streamingDecoder(skipSpecialTokens: true)
        var text = ids.dropLast().map { stream.append($0) }.joined()
        #expect(text.isEmpty)
        text = stream.finish()
        #expect(text == "\u{FFFD}")
        #expect(stream.append(ids[0]).isEmpty && stream.finish() == "\u{FFFD}", "a decoder can be used again")
    }

    @Test("A run of byte tokens is judged as a whole")
    func byteRun() throws {
        let tokenizer = try Tokenizer(json: try TokenizerVectors.family("llama2").json)
        let names = ["<0xC3>", "<0xA9>", "<0xFF>", "a"]
        let ids = names.compactMap { tokenizer.id(of: $0) }
        var stream = tokenizer.streamingDecoder(skipSpecialTokens: false)
        #expect(ids.count == 4)
        #expect(ids.dropLast().map { stream.append($0) }.joined() == "")
        #expect(stream.append(ids[3]) == "\u{FFFD}\u{FFFD}\u{FFFD}a")
        #expect(tokenizer.decode(Array(ids[..<2]), skipSpecialTokens: false) == "\u{E9}")
    }

    @Test("Ids without a token add nothing", arguments: [Int32.min, -1, 1 << 20, Int32.max])
    func strangers(id: Int32) throws {
        let tokenizer = try Tokenizer(json: try TokenizerVectors.family("qwen2").json)
        var stream = tokenizer.streamingDecoder(skipSpecialTokens: false)
        #expect(stream.append(id).isEmpty && stream.finish().isEmpty)
        #expect(tokenizer.tokenBytes(id) == nil && tokenizer.token(id) == nil && !tokenizer.isSpecial(id))
    }
}
