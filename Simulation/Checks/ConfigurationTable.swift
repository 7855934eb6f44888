// The set of configurations a search has met, so that none is explored twice (Lowe's memoisation). Open addressing over
// one flat array: an entry costs its words, not an allocation. Entries are never removed.
// The hash is fixed, so that a search visits the same configurations in the same order in every process.

struct ConfigurationTable {
    enum Insertion: Equatable {
        /// New, and found again at this position.
        case inserted(Int)
        case known
        /// The bound is reached; nothing was inserted.
        case full
    }

    /// Words of one configuration.
    let stride: Int
    /// Most configurations kept.
    let most: Int
    private(set) var count = 0
    private var words: [UInt64] = []
    /// Position plus one of an entry; zero where there is none. A power of two long, at most half full.
    private var buckets: [UInt32]

    /// Keeps to `bytes`: each configuration costs its words, as many again kept free to grow into, and two to four buckets
    /// of four bytes.
    init(stride: Int, bytes: Int) {
        self.stride = stride
        most = max(1, min(bytes / (stride * 16 + 16), Int(UInt32.max) / 4))
        buckets = [UInt32](repeating: 0, count: 64)
    }

    /// One word of an entry.
    func word(_ offset: Int, of position: Int) -> UInt64 { words[position * stride + offset] }

    mutating func insert(_ configuration: [UInt64]) -> Insertion {
        if count * 2 >= buckets.count { grow() }
        let mask = buckets.count - 1
        var bucket = Int(truncatingIfNeeded: Self.hash(configuration[...])) & mask
        while buckets[bucket] != 0 {
            if equals(Int(buckets[bucket]) - 1, configuration) { return .known }
            bucket = (bucket + 1) & mask
        }
        guard count < most else { return .full }
        words.append(contentsOf: configuration)
        count += 1
        buckets[bucket] = UInt32(count)
        return .inserted(count - 1)
    }

    private func equals(_ position: Int, _ configuration: [UInt64]) -> Bool {
        let start = position * stride
        for offset in 0..<stride where words[start + offset] != configuration[offset] { return false }
        return true
    }

    private mutating func grow() {
        var larger = [UInt32](repeating: 0, count: buckets.count * 2)
        let mask = larger.count - 1
        for position in 0..<count {
            let entry = words[position * stride..<(position + 1) * stride]
            var bucket = Int(truncatingIfNeeded: Self.hash(entry)) & mask
            while larger[bucket] != 0 { bucket = (bucket + 1) & mask }
            larger[bucket] = UInt32(position + 1)
        }
        buckets = larger
    }

    /// The finaliser of SplitMix64 over each word in turn.
    private static func hash(_ configuration: ArraySlice<UInt64>) -> UInt64 {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        for word in configuration {
            state ^= word
            state = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            state = (state ^ (state >> 27)) &* 0x94D0_49BB_1331_11EB
            state ^= state >> 31
        }
        return state
    }
}
