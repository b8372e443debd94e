package import CrumbModel
import CrumbPacked
import CrumbSIMD

extension SIMDBackend {
    package func linear(_ weights: [LinearWeight], _ input: FloatMatrix, into output: FloatMatrix, adding: Bool) {
        withUnsafeTemporaryAllocation(of: Product.self, capacity: weights.count) { products in
            var column = 0
            for (index, weight) in weights.enumerated() {
                products.initializeElement(
                    at: index, to: Product(matrix: KernelMatrix(weight), column: column, input: 0))
                column += weight.rows
            }
            if products.allSatisfy({ input.rows <= $0.matrix.vectorTokens }) {
                multiplyVectors(products, input, into: output, adding: adding)
            } else {
                multiplySlabs(products, input, into: output, adding: adding)
            }
            products.deinitialize()
        }
    }

    /// One matrix of a `linear` call.
    private struct Product {
        let matrix: KernelMatrix
        /// The output's first column.
        let column: Int
        /// Offset of its prepared input within `inputs`, in bytes.
        var input: Int
    }

    /// A few tokens: all tiles of all matrices in one parallel section.
    private func multiplyVectors(
        _ products: UnsafeMutableBufferPointer<Product>, _ input: FloatMatrix, into output: FloatMatrix, adding: Bool
    ) {
        let tokens = input.rows
        let prepared = prepareVectors(products, input)
        let tiles = products.reduce(0) { $0 + $1.matrix.tiles }
        // Several jobs for each thread, so that a thread that was held up does not keep the others waiting.
        let jobs = min(tiles, 8 * workers.count)
        workers.run(jobs: jobs) { job in
            forEachPart(of: products, tiles * job / jobs..<tiles * (job + 1) / jobs) { product, mine in
                let matrix = product.matrix
                let inputBytes = roundedToLine(matrix.vectorInputBytes)
                // Tile by tile, so that further tokens find the weights in the cache.
                let step = tokens == 1 ? mine.count : 1
                for tile in stride(from: mine.lowerBound, to: mine.upperBound, by: step) {
                    for m in 0..<tokens {
                        matrix.multiplyVector(
                            tiles: tile..<tile + step, x: input.row(m),
                            prepared: prepared + product.input + m * inputBytes, y: output.row(m) + product.column,
                            adding: adding)
                    }
                }
            }
        }
    }

    /// Prepares each token's input, once for all matrices that can share it.
    private func prepareVectors(
        _ products: UnsafeMutableBufferPointer<Product>, _ input: FloatMatrix
    ) -> UnsafeMutableRawPointer {
        var byteCount = 0
        var makers: [Int] = []
        for index in products.indices {
            let matrix = products[index].matrix
            if let maker = makers.first(where: { products[$0].matrix.sharesVectorInput(with: matrix) }) {
                products[index].input = products[maker].input
            } else {
                products[index].input = byteCount
                byteCount += input.rows * roundedToLine(matrix.vectorInputBytes)
                makers.append(index)
            }
        }
        let prepared = inputs.bytes(byteCount)
        for maker in makers {
            let matrix = products[maker].matrix
            let inputBytes = roundedToLine(matrix.vectorInputBytes)
            for m in 0..<input.rows {
                matrix.prepareVector(input.row(m), into: prepared + products[maker].input + m * inputBytes)
            }
        }
        return prepared
    }

    /// Splits tiles, counted through all matrices, by matrix: `body` gets the tiles of each that has any.
    private func forEachPart(
        of products: UnsafeMutableBufferPointer<Product>, _ all: Range<Int>, _ body: (Product, Range<Int>) -> Void
    ) {
        var before = 0
        for product in products {
            let part = all.clamped(to: before..<before + product.matrix.tiles)
            if !part.isEmpty { body(product, part.lowerBound - before..<part.upperBound - before) }
            before += product.matrix.tiles
        }
    }

    /// Many tokens: X is cut into slabs, then a few tiles of output features are one job.
    private func multiplySlabs(
        _ products: UnsafeMutableBufferPointer<Product>, _ input: FloatMatrix, into output: FloatMatrix, adding: Bool
    ) {
        let slabs = fillSlabs(products, input)
        let tiles = products.reduce(0) { $0 + $1.matrix.tiles }
        // As many tiles as share a read of X, where that leaves several jobs for each thread.
        let step = max(1, min(Int(CRUMB_GEMM_TILES), tiles / (4 * workers.count)))
        workers.run(jobs: (tiles + step - 1) / step, scratchBytes: crumb_gemm_scratch_bytes()) { job, scratch in
            forEachPart(of: products, job * step..<min((job + 1) * step, tiles)) { product, mine in
                product.matrix.multiplySlabs(
                    tiles: mine, slabs: (slabs + product.input).assumingMemoryBound(to: Float.self), m: input.rows,
                    scratch: scratch, y: output.base + product.column, stride: output.stride, adding: adding)
            }
        }
    }

    /// Cuts X into slabs, once for all matrices with the same order of channels.
    private func fillSlabs(
        _ products: UnsafeMutableBufferPointer<Product>, _ input: FloatMatrix
    ) -> UnsafeMutableRawPointer {
        var byteCount = 0
        var makers: [Int] = []
        for index in products.indices {
            let matrix = products[index].matrix
            if let maker = makers.first(where: { products[$0].matrix.order === matrix.order }) {
                products[index].input = products[maker].input
            } else {
                products[index].input = byteCount
                byteCount += roundedToLine(crumb_slab_floats(input.rows, matrix.slabChannels) * 4)
                makers.append(index)
            }
        }
        let memory = inputs.bytes(byteCount)
        let slabs = (input.rows + Int(CRUMB_SLAB_TOKENS) - 1) / Int(CRUMB_SLAB_TOKENS)
        workers.run(jobs: makers.count * slabs) { job in
            let product = products[makers[job / slabs]]
            let target = (memory + product.input).assumingMemoryBound(to: Float.self)
            let channels = product.matrix.slabChannels
            let slab = job % slabs
            if let order = product.matrix.order {
                order.channels.withUnsafeBufferPointer {
                    crumb_fill_slabs(
                        input.base, input.stride, input.rows, channels, $0.baseAddress, slab, slab + 1, target)
                }
            } else {
                crumb_fill_slabs(input.base, input.stride, input.rows, channels, nil, slab, slab + 1, target)
            }
        }
        return memory
    }
}
