// The names of things in the consensus, each its own type so that they cannot be mixed up.
// Drawing a new identifier is the world's: nothing here makes one up.

/// A member's identity: the first eight bytes of the SHA-256 of its public key. Never its address or its name.
public struct MemberID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (left: MemberID, right: MemberID) -> Bool { left.rawValue < right.rawValue }

    /// Sixteen hexadecimal digits.
    public var description: String { hexadecimal(rawValue) }

    /// Reads what `description` writes; nil for anything else.
    public init?(_ text: String) {
        guard text.utf8.count == 16, let value = UInt64(text, radix: 16) else { return nil }
        rawValue = value
    }
}

/// A cluster's identity, drawn at random once by `cluster init`. Messages of another cluster are dropped.
public struct ClusterID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (left: ClusterID, right: ClusterID) -> Bool { left.rawValue < right.rawValue }
    public var description: String { hexadecimal(rawValue) }
    public init?(_ text: String) {
        guard text.utf8.count == 16, let value = UInt64(text, radix: 16) else { return nil }
        rawValue = value
    }
}

/// Counts the forced recoveries of a cluster, from zero. Every message and every configuration belongs to one; what belongs
/// to another is not listened to. The number is in the upper bits, and below it 32 drawn at random, so that two recoveries
/// of one cluster that know nothing of each other are two epochs, the higher of which the other must give way to.
public struct Epoch: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Before any recovery.
    public static let first = Epoch(rawValue: 0)
    /// A message of a later one comes from a broken peer.
    public static let greatest = Epoch(rawValue: 1 << 60)
    public static func < (left: Epoch, right: Epoch) -> Bool { left.rawValue < right.rawValue }
    /// How many recoveries there have been.
    public var number: UInt64 { rawValue >> 32 }
    public func next(drawn: UInt32) -> Epoch { Epoch(rawValue: (number + 1) << 32 | UInt64(drawn)) }

    /// The term of the entries that this epoch begins with, which nobody is elected in. Two logs that hold an entry of one
    /// index and term must be equal up to it, so it is one that no election has reached, nor will in the epoch before (each
    /// adds one, and here 32 bits are passed over), and that no other recovery of the same cluster draws. Of two, the
    /// higher epoch has the later term: who takes it over has the older log.
    /// - Parameter known: the latest term any survivor knows.
    func beginning(after known: Term) -> Term {
        Term(rawValue: (known.rawValue >> 32 + 1) << 32 | rawValue & 0xFFFF_FFFF)
    }

    /// `2 (9f03aa51)`; the first has nothing drawn.
    public var description: String {
        number == 0 ? "0" : "\(number) (\(hexadecimal(rawValue & 0xFFFF_FFFF).suffix(8)))"
    }
}

/// Raft's logical time (Ongaro, "Consensus: Bridging Theory and Practice", 3.3). Zero is before the first election.
public struct Term: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static let zero = Term(rawValue: 0)
    /// A message with a later term comes from a broken peer. No cluster gets near it by elections, and counting on from
    /// here never overflows.
    public static let greatest = Term(rawValue: 1 << 62)
    public var next: Term { Term(rawValue: rawValue + 1) }
    public static func < (left: Term, right: Term) -> Bool { left.rawValue < right.rawValue }
    public var description: String { String(rawValue) }
}

/// A position in the log; the first entry has index 1, zero means "before the first".
public struct LogIndex: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static let zero = LogIndex(rawValue: 0)
    /// A message that names a later position comes from a broken peer.
    public static let greatest = LogIndex(rawValue: 1 << 62)
    public var next: LogIndex { LogIndex(rawValue: rawValue + 1) }
    /// The position before this one; the position before the first stays zero.
    public var previous: LogIndex { LogIndex(rawValue: rawValue == 0 ? 0 : rawValue - 1) }
    public static func < (left: LogIndex, right: LogIndex) -> Bool { left.rawValue < right.rawValue }
    public static func + (left: LogIndex, right: Int) -> LogIndex { LogIndex(rawValue: left.rawValue + UInt64(right)) }
    public var description: String { String(rawValue) }
}

/// A heartbeat round of one leader in one term, counted from 1.
public typealias Round = UInt64

/// Numbers a member's own log writes in the order they were handed out, counted from 1 at each start.
public struct WriteSequence: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (left: WriteSequence, right: WriteSequence) -> Bool { left.rawValue < right.rawValue }
}

/// Names one read so that its answer finds its way back; chosen by the owner of the Raft value.
public struct ReadID: RawRepresentable, Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (left: ReadID, right: ReadID) -> Bool { left.rawValue < right.rawValue }
}

/// Sixteen hexadecimal digits with leading zeros.
public func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
}
