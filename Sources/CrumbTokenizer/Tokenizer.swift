// From text to ids and back. A tokenizer is read once (Tokenizer+Reading.swift), never changes and may be used from
// several threads at a time; what a call needs for itself lives in that call.

/// A tokenizer as tokenizer.json describes it.
package final class Tokenizer: Sendable {
    let normalizer: Normalizer
    let preTokenizer: PreTokenizer
    let model: BytePairModel
    /// Added tokens that are looked for in the text as given, and in the normalized text.
    let rawTokens: AddedTokenMatcher
    let normalizedTokens: AddedTokenMatcher
    let decoder: TokenDecoder
    /// Contents of added tokens to their ids; they come before those of the model.
    let addedIDs: TokenTable
    /// Ids that the post-processor puts before and behind a text.
    let prefix: [Int32]
    let suffix: [Int32]

    /// One more than the highest id: the rows that an embedding must have at least.
    package let vocabularySize: Int
    /// The token that starts a text, where tokenizer_config.json names one.
    package let bosID: Int32?
    /// The tokens that end a text, as tokenizer_config.json names them; generation_config.json may name more.
    package let eosIDs: [Int32]
    /// The token for unknown characters and the token that fills up batches, where they are named.
    package let unknownID: Int32?
    package let paddingID: Int32?

    init(_ parts: TokenizerParts) {
        normalizer = parts.normalizer
        preTokenizer = parts.preTokenizer
        model = parts.model
        rawTokens = parts.rawTokens
        normalizedTokens = parts.normalizedTokens
        decoder = parts.decoder
        addedIDs = parts.addedIDs
        prefix = parts.prefix
        suffix = parts.suffix
        vocabularySize = parts.vocabularySize
        bosID = parts.bosID
        eosIDs = parts.eosIDs
        unknownID = parts.unknownID
        paddingID = parts.paddingID
    }

    /// The ids of a text.
    ///
    /// Time grows as n log n with the length of the text, whatever it holds.
    ///
    /// - Parameters:
    ///   - addSpecialTokens: whether the post-processor's tokens (usually the one that starts a text) are put in.
    ///   - parseSpecialTokens: whether the names of special tokens inside the text stand for these tokens. False where
    ///     a text comes from a stranger and must not contain commands; added tokens that are not special still count.
    package func encode(_ text: String, addSpecialTokens: Bool, parseSpecialTokens: Bool = true) -> [Int32] {
        var ids = addSpecialTokens ? prefix : []
        var encoder = BytePairEncoder(model)
        let bytes = Array(text.utf8)
        let source = bytes.span
        for piece in rawTokens.split(source, includeSpecial: parseSpecialTokens) {
            if let id = piece.id {
                ids.append(id)
                continue
            }
            let part = source.extracting(piece.range)
            let isStart = piece.range.lowerBound == 0
            if let normalized = normalizer.normalize(part) {
                encode(normalized.span, isStart, parseSpecialTokens, &encoder, &ids)
            } else {
                encode(part, isStart, parseSpecialTokens, &encoder, &ids)
            }
        }
        if addSpecialTokens { ids += suffix }
        return ids
    }

    /// The second half of `encode`: a part that is normalized.
    private func encode(
        _ text: Span<UInt8>, _ isStart: Bool, _ parseSpecialTokens: Bool, _ encoder: inout BytePairEncoder,
        _ ids: inout [Int32]
    ) {
        for piece in normalizedTokens.split(text, includeSpecial: parseSpecialTokens) {
            if let id = piece.id {
                ids.append(id)
                continue
            }
            let words = preTokenizer.words(
                text.extracting(piece.range), isStart: isStart && piece.range.lowerBound == 0)
            let bytes = words.bytes.span
            var start = 0
            for end in words.ends {
                encoder.encode(bytes.extracting(start..<end), into: &ids)
                start = end
            }
        }
    }

    /// The text of ids. Ids without a token are passed over; bytes that form no character become U+FFFD.
    package func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
        var streaming = StreamingDecoder(decoder: decoder, skipsSpecialTokens: skipSpecialTokens)
        var text: [UInt8] = []
        for id in ids { streaming.append(id, to: &text) }
        streaming.finish(into: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// A decoder for ids that arrive one by one.
    package func streamingDecoder(skipSpecialTokens: Bool) -> StreamingDecoder {
        StreamingDecoder(decoder: decoder, skipsSpecialTokens: skipSpecialTokens)
    }

    /// The bytes that a token adds to a text (of a byte token that byte; a space for a space mark); nil where the id
    /// has no token. They need not be valid UTF-8.
    package func tokenBytes(_ id: Int32) -> [UInt8]? {
        guard let text = decoder.texts[id] else { return nil }
        if !decoder.byteValues.isEmpty, decoder.byteValues[Int(id)] >= 0 {
            return [UInt8(truncatingIfNeeded: decoder.byteValues[Int(id)])]
        }
        return text
    }

    /// The id of a token by its text in the vocabulary ("Ġthe", "<|im_end|>"), nil where there is none.
    package func id(of token: String) -> Int32? {
        let key = Array(token.utf8)
        return addedIDs.find(key.span) ?? model.vocabulary.find(key.span)
    }

    /// The text of a token in the vocabulary, nil where the id has none.
    package func token(_ id: Int32) -> String? {
        decoder.tokens[id].map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether `skipSpecialTokens` leaves this id out.
    package func isSpecial(_ id: Int32) -> Bool {
        id >= 0 && Int(id) < decoder.isSpecial.count && decoder.isSpecial[Int(id)]
    }
}

/// Everything that a tokenizer is made of, as the reader hands it over.
struct TokenizerParts {
    var normalizer: Normalizer
    var preTokenizer: PreTokenizer
    var model: BytePairModel
    var rawTokens: AddedTokenMatcher
    var normalizedTokens: AddedTokenMatcher
    var decoder: TokenDecoder
    var addedIDs: TokenTable
    var prefix: [Int32]
    var suffix: [Int32]
    var vocabularySize: Int
    var bosID: Int32?
    var eosIDs: [Int32]
    var unknownID: Int32?
    var paddingID: Int32?
}
