import CrumbABI
import CrumbPacked
import CrumbQuant
import Testing

@Suite struct ChannelPreferenceTests {
    private let meanSquares: [Float] = (0..<96).map { channel in
        let own = Float(channel * 37 % 96)
        return channel / 32 == 1 ? own + 1000 : own
    }

    private let largestWeights: [Float] = (0..<96).map { Float($0 * 5 % 96) }

    private func channels(_ preference: ChannelPreference) throws -> [Int] {
        let shape = try #require(
            crumb_packed_shape(rows: 32, columns: 96, segments: 1, fourBitChannels: 32, outliersPerTile: 0))
        let keys = preference.keys(meanSquares) { largestWeights }
        return ChannelOrder.sorted(by: keys, shape: shape).channels.map(Int.init)
    }

    @Test("sensitivity and range put the largest first, source leaves all in place")
    func single() throws {
        #expect(try channels(.sensitivity) == (0..<96).sorted { meanSquares[$0] > meanSquares[$1] })
        #expect(try channels(.range) == (0..<96).sorted { largestWeights[$0] > largestWeights[$1] })
        #expect(try channels(.source) == Array(0..<96))
    }

    @Test("blocks stay together, the most sensitive one first")
    func blocks() throws {
        let order = try channels(.blocks)
        #expect(Array(order[0..<32]) == Array(32..<64))
        #expect(Set(order) == Set(0..<96))
        for block in stride(from: 0, to: 96, by: 32) { #expect(order[block + 31] == order[block] + 31) }
    }
}
