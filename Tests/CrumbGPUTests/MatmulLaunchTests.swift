import CrumbABI
import CrumbCUDA
import CrumbGPU
import CrumbPacked
import Testing

extension EmulatedCardTests {
    @Suite struct MatmulLaunchTests {
        /// A product of Llama-2-7B's layers.
        struct Product: Sendable, CustomTestStringConvertible {
            let kind: Int
            let parts: Int
            let rows: Int
            let columns: Int
            let segments: Int
            let fourBitChannels: Int

            static let queryKeyValue = Product(
                kind: Int(CRUMB_PACKED_STORE), parts: 3, rows: 4096, columns: 4096, segments: 1, fourBitChannels: 1408)
            static let attentionOutput = Product(
                kind: Int(CRUMB_PACKED_RESIDUAL), parts: 1, rows: 4096, columns: 4096, segments: 8,
                fourBitChannels: 192)
            static let gateUp = Product(
                kind: Int(CRUMB_PACKED_SILU), parts: 2, rows: 11008, columns: 4096, segments: 1, fourBitChannels: 1408)
            static let down = Product(
                kind: Int(CRUMB_PACKED_RESIDUAL), parts: 1, rows: 4096, columns: 11008, segments: 8,
                fourBitChannels: 480)

            var testDescription: String { "\(parts) x \(rows) x \(columns)" }
        }

        @Test(arguments: [
            (Product.attentionOutput, 16, UInt32(1), Int(CRUMB_MATMUL_WHOLE)), (.down, 8, 1, Int(CRUMB_MATMUL_WHOLE)),
            (.attentionOutput, 3, 8, Int(CRUMB_MATMUL_ROLES)), (.queryKeyValue, 16, 8, Int(CRUMB_MATMUL_ROLES)),
            (.gateUp, 16, 8, Int(CRUMB_MATMUL_ROLES)),
            (.gateUp, 8, 4, Int(CRUMB_MATMUL_SHARED)), (.attentionOutput, 64, 8, Int(CRUMB_MATMUL_ROLES)),
        ])
        func `groups are whole where one round of blocks takes them all`(
            _ test: Product, tokens: Int, tiles: UInt32, form: Int
        ) throws {
            // Cards without the kernels whose warps have roles, and with them.
            let card = try EmulatedCard.device {
                $0.multiprocessors = 132
                $0.capability = (form == Int(CRUMB_MATMUL_ROLES) ? 9 : 8, 0)
            }.info
            var product = crumb_packed_product()
            product.kind = UInt32(test.kind)
            product.part_count = UInt32(test.parts)
            var part = crumb_packed_part()
            part.shape = try #require(
                crumb_packed_shape(
                    rows: test.rows, columns: test.columns, segments: test.segments,
                    fourBitChannels: test.fourBitChannels, outliersPerTile: 4))
            product.parts = (part, part, part)
            let launch = try #require(MatmulLaunch(product, tokens: tokens, epsilon: 0, on: card))
            let (isWhole, hasRoles) = (form == Int(CRUMB_MATMUL_WHOLE), form == Int(CRUMB_MATMUL_ROLES))
            #expect(launch.arguments.tiles == tiles && Int(launch.arguments.whole) == form)
            #expect(launch.usesRoles == hasRoles && launch.threads == (hasRoles ? 512 : 256))
            #expect(launch.blocks % 132 == 0 && (!hasRoles || launch.blocks == 132))
            let each = launch.blocks / 132
            let memory = card.sharedBytesPerBlock + 1024
            #expect(each * (launch.sharedBytes + 1024) <= memory)
            // One that shall be alone leaves no room for another.
            #expect(!isWhole || each == 2 || 2 * (launch.sharedBytes + 1024) > memory)
        }
    }
}
