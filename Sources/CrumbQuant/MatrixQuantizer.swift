package import CrumbABI
package import CrumbBLAS
package import CrumbPacked
package import CrumbThreads

/// What rounding did to one matrix on its calibration inputs.
package struct MatrixError: Sendable {
    /// |(W - Q) X|^2 over |W X|^2.
    package var relativeOutputError: Double
    /// |W - Q|^2 over |W|^2.
    package var relativeWeightError: Double

    package init(relativeOutputError: Double, relativeWeightError: Double) {
        self.relativeOutputError = relativeOutputError
        self.relativeWeightError = relativeWeightError
    }
}

/// Quantizes matrices that share one input; knows a matrix and its statistics, never a model.
package struct MatrixQuantizer {
    package let settings: QuantizerSettings
    package let blas: BLAS
    package let pool: ThreadPool

    package init(settings: QuantizerSettings, blas: BLAS, pool: ThreadPool) {
        self.settings = settings
        self.blas = blas
        self.pool = pool
    }

    /// Bytes that quantizing matrices with one input takes at most, beyond statistics and factor.
    package static func workingBytes(shapes: [crumb_packed_shape], threads: Int) -> Int {
        let positions = shapes.map(\.orderCount).max() ?? 0
        // A block and, in coordinate descent, two more of its (P, R) arrays.
        let block = RowBlock.byteCount(positions: positions) + 2 * positions * RowBlock.maxRows * 4
        // fp32 weights; codes as bytes, twice while they are handed over; packed records.
        let matrices = shapes.reduce(0) { $0 + $1.n * $1.k * 4 + $1.n * $1.orderCount * 2 + $1.byteCount }
        return block * threads + matrices
    }

    /// A matrix to quantize.
    package struct Source {
        /// For errors.
        package let name: String
        /// (N, K) row-major, in the source's order of channels.
        package let weights: [Float]
        package let shape: crumb_packed_shape

        package init(name: String, weights: [Float], shape: crumb_packed_shape) {
            precondition(weights.count == shape.n * shape.k, "\(weights.count) weights for \(shape.n) x \(shape.k)")
            self.name = name
            self.weights = weights
            self.shape = shape
        }
    }

    /// Codes, scales and outliers for matrices that share an input; `settings` leave the storage packed.
    ///
    /// - Throws: `QuantizationError` when a weight is NaN or beyond half precision, naming matrix, row and column.
    package func quantize(
        _ sources: [Source], order: ChannelOrder, factor: ErrorFactor
    ) throws(QuantizationError) -> [(matrix: QuantizedMatrix, error: MatrixError)] {
        precondition(settings.storage.isPacked, "a variant has no codes to pack")
        let sinks = sources.map { BlockSink(shape: $0.shape) }
        let results = try quantizeRows(sources, order: order, factor: factor) { block, source, firstRow in
            block.store(into: sinks[source], firstRow: firstRow)
        }
        return zip(sinks, results).map { ($0.matrix(outliers: $1.outliers), $1.error) }
    }

    /// What matrices that share an input become, (N, K) in the source's order of channels, whatever the storage.
    ///
    /// - Throws: as `quantize`.
    package func quantizeDense(
        _ sources: [Source], order: ChannelOrder, factor: ErrorFactor
    ) throws(QuantizationError) -> [(weights: [Float], error: MatrixError)] {
        let sinks = sources.map { UnsafeMutableBufferPointer<Float>.allocate(capacity: $0.weights.count) }
        defer { sinks.forEach { $0.deallocate() } }
        let results = try quantizeRows(sources, order: order, factor: factor) { block, source, firstRow in
            block.storeDense(into: sinks[source], firstRow: firstRow, order: order)
            return []
        }
        return zip(sinks, results).map { (Array($0), $1.error) }
    }

    /// Quantizes the rows of matrices block by block.
    ///
    /// - Parameter keep: Takes the rows of a block from `firstRow` on of one source, and returns their outliers; called from
    ///   several threads.
    private func quantizeRows(
        _ sources: [Source], order: ChannelOrder, factor: ErrorFactor,
        keep: (_ block: RowBlock, _ source: Int, _ firstRow: Int) -> [Outlier]
    ) throws(QuantizationError) -> [(outliers: [Outlier], error: MatrixError)] {
        for source in sources { try check(source, order: order, factor: factor) }
        // The rows of all matrices are one list of work, so that no thread waits at the end of a small one.
        let jobs = sources.indices.flatMap { index in
            stride(from: 0, to: sources[index].shape.n, by: RowBlock.maxRows).map { (source: index, firstRow: $0) }
        }
        var results = [BlockResult](repeating: BlockResult(), count: jobs.count)
        results.withUnsafeMutableBufferPointer { results in
            pool.run(count: jobs.count) { index in
                let job = jobs[index]
                let source = sources[job.source]
                let block = RowBlock(
                    shape: source.shape, storage: settings.storage,
                    rows: min(RowBlock.maxRows, source.shape.n - job.firstRow))
                source.weights.withUnsafeBufferPointer { block.load($0, firstRow: job.firstRow, order: order) }
                block.quantize(settings, factor, blas: blas)
                results[index] = block.measure(factor, blas: blas)
                results[index].outliers = keep(block, job.source, job.firstRow)
            }
        }
        return sources.indices.map { index in
            let parts = zip(jobs, results).filter { $0.0.source == index }.map(\.1)
            return (parts.flatMap(\.outliers), BlockResult.error(of: parts))
        }
    }

    private func check(
        _ source: Source, order: ChannelOrder, factor: ErrorFactor
    ) throws(QuantizationError) {
        let shape = source.shape
        precondition(factor.positions == shape.orderCount && order.channels.count == shape.orderCount)
        // Beyond half precision, products with H would leave fp32 as well.
        guard let index = source.weights.firstIndex(where: { !(abs($0) <= 65504) }) else { return }
        throw QuantizationError(
            "row \(index / shape.k), column \(index % shape.k) of \(source.name) is \(source.weights[index]); "
                + "only weights from -65504 to 65504 can be quantized")
    }
}

extension RowBlock {
    /// Reads rows `firstRow ..< firstRow + R` of an (N, K) matrix in permuted order.
    fileprivate func load(_ source: UnsafeBufferPointer<Float>, firstRow: Int, order: ChannelOrder) {
        for (position, channel) in order.channels.enumerated() where channel != UInt16(CRUMB_PADDING_CHANNEL) {
            for row in 0..<rows { weights[position * rows + row] = source[(firstRow + row) * shape.k + Int(channel)] }
        }
    }

    fileprivate func quantize(_ settings: QuantizerSettings, _ factor: ErrorFactor, blas: BLAS) {
        chooseGroups(weight: factor.weight)
        chooseRowScales(weight: factor.weight)
        chooseOutliers(weight: factor.weight)
        // Without the outliers the ranges are narrower, and the row scales finer.
        if shape.outliers_per_tile > 0 { chooseRowScales(weight: factor.weight) }
        chooseCodes(factor, feedback: settings.method != .rtn, blas: blas)
        if settings.method == .full { descend(factor, passes: settings.passes, blas: blas) }
    }
}
