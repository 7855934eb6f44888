// Time as the pure half sees it: numbers handed in from outside.
// An Instant is a reading of one member's monotonic clock that includes suspend (CLOCK_BOOTTIME); instants of two
// members are never compared. Nothing here reads a clock.

/// A point on one member's own monotonic clock, in nanoseconds since an arbitrary origin.
public struct Instant: Comparable, Hashable, Sendable, Codable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Earlier than every reading of a clock.
    public static let distantPast = Instant(nanoseconds: Int64.min / 4)
    /// Later than every reading of a clock.
    public static let distantFuture = Instant(nanoseconds: Int64.max / 4)

    public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
    public static func + (left: Instant, right: Interval) -> Instant {
        Instant(nanoseconds: left.nanoseconds &+ right.nanoseconds)
    }
    public static func - (left: Instant, right: Interval) -> Instant {
        Instant(nanoseconds: left.nanoseconds &- right.nanoseconds)
    }
    public static func - (left: Instant, right: Instant) -> Interval {
        Interval(nanoseconds: left.nanoseconds &- right.nanoseconds)
    }
}

/// A length of time in nanoseconds; may be negative as the difference of two instants.
public struct Interval: Comparable, Hashable, Sendable, Codable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Interval(nanoseconds: 0)
    public static func nanoseconds(_ count: Int64) -> Interval { Interval(nanoseconds: count) }
    public static func microseconds(_ count: Int64) -> Interval { Interval(nanoseconds: count * 1_000) }
    public static func milliseconds(_ count: Int64) -> Interval { Interval(nanoseconds: count * 1_000_000) }
    public static func seconds(_ count: Int64) -> Interval { Interval(nanoseconds: count * 1_000_000_000) }

    /// Whole milliseconds, rounded toward zero.
    public var milliseconds: Int64 { nanoseconds / 1_000_000 }

    public static func < (left: Interval, right: Interval) -> Bool { left.nanoseconds < right.nanoseconds }
    public static func + (left: Interval, right: Interval) -> Interval {
        Interval(nanoseconds: left.nanoseconds &+ right.nanoseconds)
    }
    public static func - (left: Interval, right: Interval) -> Interval {
        Interval(nanoseconds: left.nanoseconds &- right.nanoseconds)
    }
    public static func * (left: Interval, right: Int64) -> Interval {
        Interval(nanoseconds: left.nanoseconds &* right)
    }
    public static func / (left: Interval, right: Int64) -> Interval {
        Interval(nanoseconds: left.nanoseconds / right)
    }
    public static func min(_ left: Interval, _ right: Interval) -> Interval { left < right ? left : right }
    public static func max(_ left: Interval, _ right: Interval) -> Interval { left < right ? right : left }
}

extension RandomNumberGenerator {
    /// A number below `bound`, the same for the same generator on every platform and release of the standard library
    /// (`Int.random(in:)` promises no such thing). The bias is below 2⁻³² for bounds below 2³².
    public mutating func uniform(below bound: UInt64) -> UInt64 {
        precondition(bound > 0, "a draw needs a positive bound")
        return next().multipliedFullWidth(by: bound).high
    }
}
