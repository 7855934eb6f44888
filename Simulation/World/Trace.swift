// The trace of a run: a digest over everything that happened in order, and, when somebody reads along, a line for each
// event and a story of what matters.

/// A running digest (FNV-1a over 64-bit words, mixed at the end). Not for secrets: it tells two runs apart.
public struct TraceDigest: Hashable, Sendable {
    private var state: UInt64 = 0xCBF2_9CE4_8422_2325
    public private(set) var events: UInt64 = 0

    public init() {}

    public mutating func add(_ word: UInt64) { state = (state ^ word) &* 0x0000_0100_0000_01B3 }
    mutating func count() { events += 1 }

    public var value: UInt64 {
        var mixed = state ^ (state >> 32)
        mixed = mixed &* 0xD6E8_FEB8_6659_FD93
        return mixed ^ (mixed >> 32)
    }
}

/// One line of what happened, for people.
public struct StoryLine: Hashable, Sendable {
    /// True nanoseconds since the plan began.
    public let at: Int64
    public let words: String

    public var text: String { "t+\(TimeText.seconds(at)) \(words)" }
}
