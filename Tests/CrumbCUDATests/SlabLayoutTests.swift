import CrumbCUDA
import Testing

@Suite struct SlabLayoutTests {
    @Test(arguments: [0, 0x7000_0000] as [UInt64]) func `pieces follow one another, each aligned`(base: UInt64) {
        var layout = SlabLayout(base: base)
        let addresses = [1, 256, 0, 257].map { layout.reserve($0) } + [layout.reserve(65, of: Float.self)]
        #expect(addresses.map { $0 - base } == [0, 256, 512, 512, 1024])
        #expect(layout.byteCount == 1536)
    }

    @Test func `a plan says what will be needed`() {
        let bytes = SlabLayout.byteCount { layout in (layout.reserve(3), layout.reserve(300)) }
        #expect(bytes == 768)
    }
}
