import CrumbABI
import CrumbPacked

/// Which groups have 4 bits where every row chooses its own.
package enum GroupChoice {
    /// Rows that choose together. Fixed, so that the choice does not depend on the number of threads.
    package static let rows = RowBlock.maxRows

    /// The groups that gain most by 4 bits, in each block of `rows` rows as many as `perRow` of every row are.
    ///
    /// - Parameters:
    ///   - gains: (groups, N): what 4 bits save over fewer, in units of the loss.
    ///   - count: N.
    /// - Returns: (groups, N), 1 where a group has 4 bits. Of equal gains the first ones have them.
    package static func widest(_ gains: [Float], count: Int, perRow: Int) -> [UInt8] {
        var choice = [UInt8](repeating: 0, count: gains.count)
        let groups = count > 0 ? gains.count / count : 0
        for first in stride(from: 0, to: count, by: rows) {
            let block = first..<min(first + rows, count)
            var places = (0..<groups).flatMap { group in block.map { group * count + $0 } }
            places.sort { gains[$0] != gains[$1] ? gains[$0] > gains[$1] : $0 < $1 }
            for place in places.prefix(perRow * block.count) { choice[place] = 1 }
        }
        return choice
    }
}

extension RowBlock {
    /// Gives 4 bits to the groups whose rounding gains most by them, weight x (w - q)^2 at each one's best scale.
    func chooseGroups(weight: [Float]) {
        guard storage.choosesGroups else { return }
        let count = groups * rows
        var gains = [Float](repeating: 0, count: count)
        let unused = UnsafeMutablePointer<Float>.allocate(capacity: 2 * rows)
        defer { unused.deallocate() }
        for (top, sign) in [(storage.narrowTop, Float(1)), (Self.wideTop, -1)] {
            tops.update(repeating: top, count: count)
            for index in 0..<groups {
                bestScales(group: index, weight: weight, into: unused, costs: unused + rows)
                for row in 0..<rows { gains[index * rows + row] += sign * unused[rows + row] }
            }
        }
        let perRow = Int(shape.segments) * shape.fourBitChannels / group
        for (place, isWide) in GroupChoice.widest(gains, count: rows, perRow: perRow).enumerated() {
            tops[place] = isWide == 1 ? Self.wideTop : storage.narrowTop
        }
    }
}
