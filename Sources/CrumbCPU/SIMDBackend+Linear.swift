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
            let all = tiles * job / jobs..<tiles * (job + 1) / jobs
            var before = 0
            for product in products {
                let matrix = product.matrix
                let part = all.clamped(to: before..<before + matrix.tiles)
                let mine = part.lowerBound - before..<part.upperBound - before
                before += matrix.tiles
                if mine.isEmpty { continue }
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

    /// Many tokens: X is cut into slabs, then each tile of output features is one job.
    private func multiplySlabs(
        _ products: UnsafeMutableBufferPointer<Product>, _ input: FloatMatrix, into output: FloatMatrix, adding: Bool
    ) {
        let slabs = fillSlabs(products, input)
        let tiles = products.reduce(0) { $0 + $1.matrix.tiles }
        workers.run(jobs: tiles, scratchBytes: crumb_gemm_scratch_bytes()) { job, scratch in
            var tile = job
            for product in products {
                if tile < product.matrix.tiles {
                    product.matrix.multiplySlabs(
                        tile: tile, slabs: (slabs + product.input).assumingMemoryBound(to: Float.self), m: input.rows,
                        scratch: scratch, y: output.base + product.column, stride: output.stride, adding: adding)
                    return
                }
                tile -= product.matrix.tiles
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
