import CrumbABI

extension ModelConfiguration {
    /// Runs of columns that a packed matrix is cut into, so that they can be spread over GPUs without repacking.
    ///
    /// Columns of o and down can be cut for 8, 4 or 2 GPUs where the key-value heads can, and where each GPU's rows of
    /// gate and up, which make its inputs of down, are whole record tiles.
    package func packedSegments(of projection: Projection) -> Int {
        guard projection == .o || projection == .down else { return 1 }
        let cuts = [8, 4, 2].first { cut in
            numKeyValueHeads % cut == 0 && intermediateSize % (cut * Int(CRUMB_TILE_ROWS)) == 0
        }
        return cuts ?? 1
    }
}
