import CrumbABI
import CrumbModel
import CrumbPacked

/// Runs of rows of packed matrices that are turned into fp16 and multiplied before the next run takes their place.
enum DequantizeSlices {
    /// Bytes of fp16 that exist at once: fewer stay in the second-level cache between writing and reading, more make
    /// better products. Not tuned yet.
    static let bytes = 64 << 20

    /// Row tiles of one matrix within a slice.
    struct Run: Equatable {
        let part: Int
        let firstTile: Int
        let tiles: Int
        /// Where its rows start within the slice.
        let row: Int
    }

    struct Slice: Equatable {
        /// The first output feature of the slice, over all matrices.
        let firstRow: Int
        var rows: Int
        var runs: [Run]
    }

    /// The slices of matrices one below the other, of at most `limit` rows (at least one tile) each.
    static func plan(_ shapes: [crumb_packed_shape], limit: Int) -> [Slice] {
        let tileRows = Int(CRUMB_TILE_ROWS)
        var slices: [Slice] = []
        var row = 0
        for (part, shape) in shapes.enumerated() {
            var tile = 0
            while tile < shape.rowTiles {
                if slices.isEmpty || slices[slices.count - 1].rows + tileRows > limit {
                    slices.append(Slice(firstRow: row, rows: 0, runs: []))
                }
                let last = slices.count - 1
                let room = max((limit - slices[last].rows) / tileRows, 1)
                let tiles = min(room, shape.rowTiles - tile)
                let rows = min((tile + tiles) * tileRows, shape.n) - tile * tileRows
                slices[last].runs.append(Run(part: part, firstTile: tile, tiles: tiles, row: slices[last].rows))
                slices[last].rows += rows
                row += rows
                tile += tiles
            }
        }
        return slices
    }

    /// Rows of a slice at most, for inputs of so many positions: whole matrices in slices of about the same size.
    static func rowLimit(rows: Int, positions: Int) -> Int {
        let tileRows = Int(CRUMB_TILE_ROWS)
        let most = max(bytes / (2 * positions) / tileRows, 1)
        let tiles = (rows + tileRows - 1) / tileRows
        let slices = (tiles + most - 1) / most
        return (tiles + slices - 1) / slices * tileRows
    }

    /// fp16 numbers of the largest slice of a model.
    static func elements(_ weights: DeviceWeights) -> Int {
        weights.layers.flatMap { layer in
            InputRole.allCases.map { role in
                let linear = layer[role]
                guard let order = linear.order else { return 0 }
                return rowLimit(rows: linear.rows, positions: order.positions) * order.positions
            }
        }.max() ?? 0
    }
}
