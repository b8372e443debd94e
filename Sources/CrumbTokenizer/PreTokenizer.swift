// How a normalized text is cut into the words that the encoding looks at one by one.

/// When `Metaspace` puts its mark before a text.
enum PrependScheme: String, Sendable {
    case always, first, never
}

/// One step of pre-tokenization.
enum PreTokenizerStep: Sendable {
    /// Cuts into the matches of a known regular expression.
    case words(SplitPattern)
    /// Cuts digits out: each by itself, or runs of them.
    case digits(individual: Bool)
    /// Puts a space before a word that does not start with one.
    case prefixSpace
    /// Replaces spaces by a mark, puts one in front, and cuts before each mark where `splits` holds.
    case metaspace(mark: [UInt8], scheme: PrependScheme, splits: Bool)
}

/// The steps in their order.
struct PreTokenizer: Sendable {
    var steps: [PreTokenizerStep] = []
    /// Whether the encoding works on bytes (`ByteLevel`) instead of characters.
    var isByteLevel = false

    /// Cuts a text that is not empty.
    ///
    /// - Parameter isStart: whether it stands at the start of the whole input.
    func words(_ text: Span<UInt8>, isStart: Bool) -> WordList {
        var list = WordList(text: text)
        for step in steps {
            switch step {
            case .words(let pattern): list.cut(by: pattern)
            case .digits(let individual): list.cutDigits(individual: individual)
            case .prefixSpace: list.prefix([UInt8(ascii: " ")], onlyFirst: false)
            case .metaspace(let mark, let scheme, let splits):
                list.replaceSpaces(by: mark)
                if scheme != .never, scheme == .always || isStart {
                    list.prefix(mark, onlyFirst: scheme == .first)
                }
                if splits { list.cut(before: mark) }
            }
        }
        return list
    }
}

/// Words one after the other in one array of bytes; none of them is empty.
struct WordList {
    private(set) var bytes: [UInt8] = []
    /// The end of each word, ascending.
    private(set) var ends: [Int]

    /// The whole text as one word.
    init(text: Span<UInt8>) {
        append(text, 0..<text.count, to: &bytes)
        ends = [text.count]
    }

    /// Cuts every word into the matches of the pattern.
    mutating func cut(by pattern: SplitPattern) {
        let scanner = WordScanner(pattern)
        var cuts: [Int] = []
        cuts.reserveCapacity(bytes.count / 4 + ends.count)
        let source = bytes
        let text = source.span
        var start = 0
        for end in ends {
            while start < end {
                start = scanner.matchEnd(text, from: start, to: end)
                cuts.append(start)
            }
        }
        ends = cuts
    }

    /// Cuts before and behind every digit, or every run of digits.
    mutating func cutDigits(individual: Bool) {
        let classes = UnicodeClasses.shared
        var cuts: [Int] = []
        cuts.reserveCapacity(ends.count)
        let source = bytes
        let text = source.span
        var start = 0
        for end in ends {
            var position = start
            var wasDigit = false
            while position < end {
                let isDigit = classes[scalar(text, at: position)].contains(.digit)
                if position > start, isDigit != wasDigit || (isDigit && individual) { cuts.append(position) }
                wasDigit = isDigit
                position += scalarLength(text[position])
            }
            cuts.append(end)
            start = end
        }
        ends = cuts
    }

    /// Puts `head` before the words that do not start with it.
    mutating func prefix(_ head: [UInt8], onlyFirst: Bool) {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + head.count)
        let source = bytes
        let text = source.span
        var start = 0
        for index in ends.indices {
            let end = ends[index]
            if index == 0 || !onlyFirst, !matches(text.extracting(start..<end), at: 0, head) { result += head }
            append(text, start..<end, to: &result)
            ends[index] = result.count
            start = end
        }
        bytes = result
    }

    /// Replaces every space.
    mutating func replaceSpaces(by mark: [UInt8]) {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + bytes.count / 2)
        var start = 0
        for index in ends.indices {
            for byte in bytes[start..<ends[index]] {
                if byte == UInt8(ascii: " ") { result += mark } else { result.append(byte) }
            }
            start = ends[index]
            ends[index] = result.count
        }
        bytes = result
    }

    /// Cuts before every mark.
    mutating func cut(before mark: [UInt8]) {
        var cuts: [Int] = []
        let source = bytes
        let text = source.span
        var start = 0
        for end in ends {
            var position = start + 1
            while position < end {
                if text[position] == mark[0], matches(text, at: position, mark) { cuts.append(position) }
                position += 1
            }
            cuts.append(end)
            start = end
        }
        ends = cuts
    }
}
