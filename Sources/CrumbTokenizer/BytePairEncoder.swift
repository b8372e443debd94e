// Applies merges to words. One encoder serves one call of `encode`: it owns the scratch memory and a cache of words.

/// Encodes words with a model.
struct BytePairEncoder {
    private let model: BytePairModel
    private var merger = SymbolMerger()

    /// Words seen in this call; the id is the number of an entry in `cachedEnds`.
    private var cache = TokenTable(capacity: 256)
    private var cachedIDs: [Int32] = []
    private var cachedEnds: [Int] = []

    /// Words that the cache holds before it starts anew, and bytes of the longest of them.
    private static let cacheCount = 1 << 16
    private static let cachedLength = 128
    /// Bytes of the longest stretch that is merged as one; its symbols are numbered with 32 bits.
    private static let longestWord = 1 << 29

    init(_ model: BytePairModel) { self.model = model }

    /// Appends the ids of a word that is not empty.
    mutating func encode(_ word: Span<UInt8>, into ids: inout [Int32]) {
        let mark = model.cutMark
        guard let lead = mark.first else {
            encodeWhole(word, into: &ids)
            return
        }
        var start = 0
        var isBehindMark = true
        var position = 0
        while position < word.count {
            if word[position] == lead, matches(word, at: position, mark) {
                if !isBehindMark {
                    encodeWhole(word.extracting(start..<position), into: &ids)
                    start = position
                }
                isBehindMark = true
                position += mark.count
            } else {
                isBehindMark = false
                position += 1
            }
        }
        encodeWhole(word.extracting(start..<word.count), into: &ids)
    }

    private mutating func encodeWhole(_ word: Span<UInt8>, into ids: inout [Int32]) {
        if let whole = model.wholeWords?.find(word) {
            ids.append(whole)
            return
        }
        if word.count > Self.longestWord {
            let cut = scalarStart(word, before: Self.longestWord)
            encodeWhole(word.extracting(0..<cut), into: &ids)
            encodeWhole(word.extracting(cut..<word.count), into: &ids)
            return
        }
        guard word.count <= Self.cachedLength else {
            merge(word, into: &ids)
            return
        }
        if let entry = cache.find(word) {
            let end = cachedEnds[Int(entry)]
            ids += cachedIDs[(entry == 0 ? 0 : cachedEnds[Int(entry) - 1])..<end]
            return
        }
        if cachedEnds.count == Self.cacheCount {
            cache.removeAll()
            cachedIDs.removeAll(keepingCapacity: true)
            cachedEnds.removeAll(keepingCapacity: true)
        }
        let start = ids.count
        merge(word, into: &ids)
        cachedIDs += ids[start...]
        cache.insert(word, id: Int32(cachedEnds.count))
        cachedEnds.append(cachedIDs.count)
    }

    private mutating func merge(_ word: Span<UInt8>, into ids: inout [Int32]) {
        merger.start()
        model.appendSymbols(of: word, to: &merger.symbols)
        merger.merge(model.merges)
        for symbol in merger.symbols where symbol >= 0 { ids.append(symbol) }
    }
}

/// Merges the symbols of one word, the lowest rank first and of equal ranks the leftmost first: O(n log n).
struct SymbolMerger {
    /// The symbols; those swallowed by their left neighbour become -1.
    var symbols: [Int32] = []
    /// Neighbours of each living symbol, -1 at the ends.
    private var previous: [Int32] = []
    private var next: [Int32] = []
    /// Binary heap of rank << 32 | place, the least in front. Entries outlive the pairs they were made for.
    private var queue: [UInt64] = []

    /// Forgets the last word and keeps the memory.
    mutating func start() { symbols.removeAll(keepingCapacity: true) }

    /// Merges until no pair of neighbours has a rank.
    mutating func merge(_ merges: MergeTable) {
        let count = symbols.count
        if count < 2 { return }
        previous.removeAll(keepingCapacity: true)
        next.removeAll(keepingCapacity: true)
        queue.removeAll(keepingCapacity: true)
        for place in 0..<count {
            previous.append(Int32(place) - 1)
            next.append(place + 1 < count ? Int32(place) + 1 : -1)
            if place + 1 < count, let rank = merges.rank(symbols[place], symbols[place + 1]) {
                queue.append(UInt64(rank) << 32 | UInt64(place))
            }
        }
        for index in stride(from: queue.count / 2 - 1, through: 0, by: -1) { sink(index) }

        while let top = popLeast() {
            let place = Int(top & 0xFFFF_FFFF)
            let result = merges.results[Int(top >> 32)]
            guard symbols[place] >= 0, next[place] >= 0 else { continue }
            let right = Int(next[place])
            // An entry may be older than its pair. It still holds if the pair that stands there now gives the same
            // token, even at another rank: so does the reference, and ids depend on it.
            guard let rank = merges.rank(symbols[place], symbols[right]), merges.results[Int(rank)] == result else {
                continue
            }
            symbols[place] = result
            symbols[right] = -1
            next[place] = next[right]
            if next[place] >= 0 { previous[Int(next[place])] = Int32(place) }
            if previous[place] >= 0 { push(merges, Int(previous[place]), place) }
            if next[place] >= 0 { push(merges, place, Int(next[place])) }
        }
    }

    private mutating func push(_ merges: MergeTable, _ left: Int, _ right: Int) {
        guard let rank = merges.rank(symbols[left], symbols[right]) else { return }
        var index = queue.count
        let entry = UInt64(rank) << 32 | UInt64(left)
        queue.append(entry)
        while index > 0 {
            let parent = (index - 1) / 2
            if queue[parent] <= entry { break }
            queue[index] = queue[parent]
            index = parent
        }
        queue[index] = entry
    }

    private mutating func popLeast() -> UInt64? {
        guard let least = queue.first, let last = queue.popLast() else { return nil }
        if !queue.isEmpty {
            queue[0] = last
            sink(0)
        }
        return least
    }

    private mutating func sink(_ start: Int) {
        var index = start
        let entry = queue[start]
        while true {
            var child = 2 * index + 1
            if child >= queue.count { break }
            if child + 1 < queue.count, queue[child + 1] < queue[child] { child += 1 }
            if entry <= queue[child] { break }
            queue[index] = queue[child]
            index = child
        }
        queue[index] = entry
    }
}
