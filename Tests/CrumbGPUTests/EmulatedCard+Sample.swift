import CrumbABI
import CrumbEngine

extension EmulatedCard {
    /// sample_f32 by the host's sampler, for options with top-k, where candidates stand in order of likelihood.
    static func sample(_ a: crumb_sample_args, _ m: Int) {
        guard DeviceNumbers<Int32>(a.choice.positions)[m] >= 0 else { return }
        let count = Int(a.vocabulary)
        let words = (count + 31) / 32
        let options = DeviceNumbers<crumb_sampling>(a.options)
        let wanted = options[m]
        var logits = (0..<count).map { DeviceNumbers<Float>(a.logits)[m * count + $0] }
        let seen = DeviceNumbers<UInt32>(a.seen)
        for token in 0..<count where seen[m * words + token / 32] >> UInt32(token % 32) & 1 == 1 {
            logits[token] =
                logits[token] > 0
                ? logits[token] / wanted.repetition_penalty : logits[token] * wanted.repetition_penalty
        }
        let isGreedy = wanted.inverse_temperature == 0
        let sampling = SamplingOptions(
            temperature: isGreedy ? 0 : 1 / wanted.inverse_temperature, topK: Int(wanted.top_k), topP: wanted.top_p,
            minP: wanted.min_p, repetitionPenalty: 1, seed: 1)
        guard let candidates = try? Sampler(sampling).distribution(logits), let last = candidates.last else {
            return publish(a.choice, m, Int(CRUMB_TOKEN_BROKEN))
        }
        var token = last.token
        if !isGreedy {
            precondition(wanted.top_k > 0, "without top-k the order of the candidates is another one")
            var (s0, s1, s2, s3) = wanted.random
            let product = s1 &* 5
            let point = Double(((product << 7 | product >> 57) &* 9) >> 11) * 0x1p-53
            let shifted = s1 << 17
            s2 ^= s0
            s3 ^= s1
            s1 ^= s2
            s0 ^= s3
            s2 ^= shifted
            s3 = s3 << 45 | s3 >> 19
            options[m].random = (s0, s1, s2, s3)
            var sum = 0.0
            token =
                candidates.first {
                    sum += $0.weight; return point < sum
                }?.token ?? last.token
        }
        if wanted.repetition_penalty != 1 { seen[m * words + Int(token) / 32] |= 1 << UInt32(token % 32) }
        publish(a.choice, m, Int(token))
    }
}
