// The configurations a search has met, so that none is explored that cannot lead further than another did (Lowe's
// memoisation, with dominance). An entry costs its words, not an allocation. Entries are never removed.
// The hash is fixed, so that a search visits the same configurations in the same order in every process.

/// Configurations of a fixed number of words. The first `coreWords` must be equal for two to be compared at all; the
/// rest is a set of what has been used up, of which less is better.
struct ConfigurationTable {
    enum Insertion: Equatable {
        /// New, and found again at this position.
        case inserted(Int)
        /// One of the newest with the same core has used up nothing that this one has not.
        case dominated
        /// The bound is reached; nothing was inserted.
        case full
    }

    /// Entries of one core that a new one is compared with. Forgetting an older one costs time, never the result, and
    /// the bound on entries bounds that time.
    static let mostCompared = 128

    private let coreWords: Int
    /// Words of one configuration, and one more: the position plus one of the next entry with the same core.
    private let stride: Int
    /// Most configurations kept.
    private let most: Int
    private(set) var count = 0
    private var coreCount = 0
    private var words: [UInt64] = []
    /// Position plus one of the newest entry of a core; zero where there is none. A power of two long, at most half full.
    private var buckets: [UInt32]

    /// Keeps to `bytes`: each configuration costs its words, as many again kept free to grow into, and two to four buckets
    /// of four bytes.
    init(coreWords: Int, usedWords: Int, bytes: Int) {
        self.coreWords = coreWords
        stride = coreWords + usedWords + 1
        most = max(1, min(bytes / (stride * 16 + 16), Int(UInt32.max) / 4))
        buckets = [UInt32](repeating: 0, count: 64)
    }

    /// One word of an entry.
    func word(_ offset: Int, of position: Int) -> UInt64 { words[position * stride + offset] }

    mutating func insert(_ configuration: [UInt64]) -> Insertion {
        if coreCount * 2 >= buckets.count { grow() }
        let bucket = bucket(of: configuration[..<coreWords])
        var entry = buckets[bucket]
        var compared = 0
        while entry != 0 && compared < Self.mostCompared {
            compared += 1
            let position = Int(entry) - 1
            if dominates(position, configuration) { return .dominated }
            entry = UInt32(word(stride - 1, of: position))
        }
        guard count < most else { return .full }
        words.append(contentsOf: configuration)
        words.append(UInt64(buckets[bucket]))
        count += 1
        if buckets[bucket] == 0 { coreCount += 1 }
        buckets[bucket] = UInt32(count)
        return .inserted(count - 1)
    }

    private func dominates(_ position: Int, _ configuration: [UInt64]) -> Bool {
        let start = position * stride
        for offset in coreWords..<(stride - 1) where words[start + offset] & ~configuration[offset] != 0 {
            return false
        }
        return true
    }

    /// The bucket that holds this core, or the empty one where it belongs.
    private func bucket(of core: ArraySlice<UInt64>) -> Int {
        let mask = buckets.count - 1
        var bucket = Int(truncatingIfNeeded: Self.hash(core)) & mask
        while buckets[bucket] != 0 {
            let start = (Int(buckets[bucket]) - 1) * stride
            if words[start..<start + coreWords].elementsEqual(core) { break }
            bucket = (bucket + 1) & mask
        }
        return bucket
    }

    private mutating func grow() {
        let newest = buckets
        buckets = [UInt32](repeating: 0, count: newest.count * 2)
        for entry in newest where entry != 0 {
            let start = (Int(entry) - 1) * stride
            buckets[bucket(of: words[start..<start + coreWords])] = entry
        }
    }

    /// The finaliser of SplitMix64 over each word in turn.
    private static func hash(_ core: ArraySlice<UInt64>) -> UInt64 {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        for word in core {
            state ^= word
            state = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            state = (state ^ (state >> 27)) &* 0x94D0_49BB_1331_11EB
            state ^= state >> 31
        }
        return state
    }
}
