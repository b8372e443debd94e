import CrumbEngine
import CrumbSIMD
import CrumbTensor
package import CrumbThreads
import Glibc

/// How fast this machine reads memory: the limit of decoding, where every weight is read once for each token.
package enum ReadBandwidth {
    /// Measures streaming reads of a buffer.
    ///
    /// - Parameters:
    ///   - pool: The threads that read, each its own part at a time.
    ///   - bufferBytes: nil takes four times the last-level cache, from 256 MiB to 1 GiB.
    ///   - repetitions: Passes over the buffer, after one to warm up.
    /// - Returns: Bytes per second of the fastest pass, since anything else on the machine only slows it.
    package static func bytesPerSecond(pool: ThreadPool, bufferBytes: Int? = nil, repetitions: Int = 5) -> Double {
        let cache = max(sysconf(Int32(_SC_LEVEL3_CACHE_SIZE)), 0)
        // Bounded, because virtual machines report caches of hundreds of megabytes that they share with others.
        let part = 4 << 20
        let size = max(bufferBytes ?? min(max(4 * cache, 256 << 20), 1 << 30), part)
        let buffer = HeapBuffer(byteCount: size)
        // A page that was never written may be one zero page for all; a value in each makes them real.
        let pageBytes = 4096
        for page in 0..<size / pageBytes {
            buffer.mutableBytes.storeBytes(of: UInt64(page), toByteOffset: page * pageBytes, as: UInt64.self)
        }
        let clock = ContinuousClock()
        var best = 0.0
        for repetition in 0...repetitions {
            let start = clock.now
            let sums = pool.map(count: size / part) { index -> UInt64 in
                guard let base = buffer.bytes.baseAddress else { return 0 }
                return crumb_read_bandwidth(base + index * part, part)
            }
            let seconds = start.duration(to: clock.now).seconds
            // The sum is used, so that the reads cannot be left out.
            withExtendedLifetime(sums) {}
            if repetition > 0, seconds > 0 { best = max(best, Double(size / part * part) / seconds) }
        }
        return best
    }
}
