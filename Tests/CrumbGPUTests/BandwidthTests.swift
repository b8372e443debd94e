import CrumbGPU
import Testing

extension EmulatedCardTests {
    @Suite struct BandwidthTests {
        /// The emulated card's clock stands still, so there is no number; what is read is what counts.
        @Test func `more than four times the cache is read, with other bytes in between`() throws {
            let library = try EmulatedCard.library(on: EmulatedCard.device())
            #expect(try DeviceBandwidth.bytesPerSecond(library: library, bytes: 1, repetitions: 3) == 0)
            #expect(EmulatedCard.state.launches["read_memory"] == 8)
            // In whole blocks of 16 KiB; the emulated cache has a million bytes.
            let blocks = 4_000_000 / 16384 + 1 + 2_000_000 / 16384 + 1
            #expect(EmulatedCard.state.bytesRead == 4 * blocks * 16384)
            #expect(EmulatedCard.state.alive.isEmpty)
        }
    }
}
