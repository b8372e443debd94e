import CrumbABI
import CrumbCUDA
import CrumbGPU
import CrumbPacked
import Testing

extension EmulatedCardTests {
    @Suite struct MatmulLaunchTests {
        /// A product of Llama-2-7B's layers.
        struct Case: CustomTestStringConvertible {
            let kind: UInt32
            let parts: Int
            let rows: Int
            let columns: Int
            let segments: Int
            let fourBitChannels: Int
            let tokens: Int
            let tiles: UInt32
            let isWhole: Bool

            var testDescription: String { "\(parts) x \(rows) x \(columns), \(tokens) tokens" }
        }

        @Test(arguments: [
            Case(
                kind: UInt32(CRUMB_PACKED_RESIDUAL), parts: 1, rows: 4096, columns: 4096, segments: 8,
                fourBitChannels: 192, tokens: 16, tiles: 1, isWhole: true),
            Case(
                kind: UInt32(CRUMB_PACKED_RESIDUAL), parts: 1, rows: 4096, columns: 11008, segments: 8,
                fourBitChannels: 480, tokens: 8, tiles: 1, isWhole: true),
            Case(
                kind: UInt32(CRUMB_PACKED_STORE), parts: 3, rows: 4096, columns: 4096, segments: 1,
                fourBitChannels: 1408, tokens: 16, tiles: 4, isWhole: false),
            Case(
                kind: UInt32(CRUMB_PACKED_SILU), parts: 2, rows: 11008, columns: 4096, segments: 1,
                fourBitChannels: 1408, tokens: 8, tiles: 4, isWhole: false),
            Case(
                kind: UInt32(CRUMB_PACKED_RESIDUAL), parts: 1, rows: 4096, columns: 4096, segments: 8,
                fourBitChannels: 192, tokens: 64, tiles: 4, isWhole: false),
        ])
        func `groups are whole where one round of blocks takes them all`(_ test: Case) throws {
            let card = try EmulatedCard.device { $0.multiprocessors = 132 }.info
            var product = crumb_packed_product()
            product.kind = test.kind
            product.part_count = UInt32(test.parts)
            var part = crumb_packed_part()
            part.shape = try #require(
                crumb_packed_shape(
                    rows: test.rows, columns: test.columns, segments: test.segments,
                    fourBitChannels: test.fourBitChannels, outliersPerTile: 4))
            product.parts = (part, part, part)
            let launch = try #require(MatmulLaunch(product, tokens: test.tokens, epsilon: 0, on: card))
            #expect(launch.arguments.tiles == test.tiles && (launch.arguments.whole != 0) == test.isWhole)
            #expect(launch.blocks % 132 == 0 && launch.threads == 256)
            let each = launch.blocks / 132
            let memory = card.sharedBytesPerBlock + 1024
            #expect(each * (launch.sharedBytes + 1024) <= memory)
            // One that shall be alone leaves no room for another.
            #expect(!test.isWhole || each == 2 || 2 * (launch.sharedBytes + 1024) > memory)
        }
    }
}
