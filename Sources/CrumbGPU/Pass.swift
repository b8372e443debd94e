import CrumbModel

/// Rows of a batch whose attention is launched together.
enum PassSegment {
    /// One token in each of several sequences of one arena.
    case steps(rows: Range<Int>, arena: CacheArena)
    /// Several tokens of one sequence, from position `start` on.
    case run(rows: Range<Int>, start: Int, cache: DeviceCache)

    /// The segments of a batch, in the order of its rows.
    static func segments(of batch: Batch) -> [PassSegment] {
        var segments: [PassSegment] = []
        for run in batch.runs {
            guard let cache = run.cache as? DeviceCache else {
                preconditionFailure("a sequence cached on another device in a batch for the GPU")
            }
            let rows = run.firstRow..<run.firstRow + run.count
            if run.count > 1 {
                segments.append(.run(rows: rows, start: run.start, cache: cache))
            } else if case .steps(let before, let arena) = segments.last, arena === cache.arena {
                segments[segments.count - 1] = .steps(rows: before.lowerBound..<rows.upperBound, arena: arena)
            } else {
                segments.append(.steps(rows: rows, arena: cache.arena))
            }
        }
        return segments
    }
}

/// What one forward pass works on.
struct Pass {
    let workspace: Workspace
    /// M.
    let rows: Int
    let segments: [PassSegment]
    /// i32 [M] each: ids, positions in the sequences, slots in their arenas.
    let tokens: UInt64
    let positions: UInt64
    let slots: UInt64
    /// One past the highest position; what the cache holds where the pass is recorded.
    let limit: Int

    /// Runs of up to `width` rows.
    func chunks(of width: Int) -> [Range<Int>] {
        stride(from: 0, to: rows, by: width).map { $0..<min($0 + width, rows) }
    }
}
