// When a certificate is to be replaced, and how much of a worry its age is. Plain functions of the certificate's life, of
// what was tried, and of the wall clock; they sign nothing and ask nobody.
//
//     begins ───────────────── due (63.3 to 66.7 % of the life) ──── soon ──── ends
//                              asked for, again and again            a person is told

import Consensus

/// Replacing one certificate: its life, and the attempts so far. All times are wall clock, milliseconds since 1970.
public struct CertificateRenewal: Hashable, Sendable {
    public enum Step: Hashable, Sendable {
        case renew
        /// Look again after so many milliseconds, from 1 on.
        case wait(milliseconds: Int64)
    }

    /// A look at least so often, because a wall clock may be set meanwhile.
    public static let longestWaitMilliseconds: Int64 = 600_000
    /// The first pause after a failure is a ten-thousandth of the life within these, and doubles with each further one.
    static let shortestPauseMilliseconds: Int64 = 1_000
    static let longestFirstPauseMilliseconds: Int64 = 60_000
    /// The longest pause is a hundredth of the life, within an hour.
    static let longestPauseMilliseconds: Int64 = 3_600_000

    public let begins: Int64
    public let ends: Int64
    /// 0 to 999, drawn once for each certificate: members whose certificates began together do not ask together.
    public let jitterPermille: Int64
    public private(set) var failures = 0
    private var lastFailure: Int64 = 0
    private var pause: Int64 = 0

    /// - Parameter jitterPermille: any number; what counts is its remainder by 1,000.
    public init(begins: Int64, ends: Int64, jitterPermille: Int64) {
        self.begins = begins
        self.ends = max(ends, begins)
        self.jitterPermille = (jitterPermille % 1_000 + 1_000) % 1_000
    }

    private var life: Int64 { ends - begins }

    /// Two thirds of the life, less up to a thirtieth of it.
    public var due: Int64 { begins + life / 3 * 2 - life / 30 / 1_000 * jitterPermille }

    /// What to do now. Asks for another certificate also when this one is not valid yet: it was made while the wall clock
    /// stood ahead.
    public func step(now: Int64) -> Step {
        let isDue = now >= due || now < begins
        guard isDue else { return .wait(milliseconds: min(due - now, Self.longestWaitMilliseconds)) }
        let waited = now - lastFailure
        // A clock that was set back must not make the pause longer than it is.
        guard failures > 0, waited >= 0, waited < pause else { return .renew }
        return .wait(milliseconds: min(pause - waited, Self.longestWaitMilliseconds))
    }

    /// An attempt failed.
    /// - Parameter jitterPermille: 0 to 999; the pause is between half and all of what is usual.
    public mutating func failed(now: Int64, jitterPermille: Int64) {
        let first = min(max(life / 10_000, Self.shortestPauseMilliseconds), Self.longestFirstPauseMilliseconds)
        let most = min(max(life / 100, first), Self.longestPauseMilliseconds)
        let usual = min(first << Int64(min(failures, 20)), most)
        pause = max(1, usual / 2 + usual / 2 * ((jitterPermille % 1_000 + 1_000) % 1_000) / 1_000)
        lastFailure = now
        failures += 1
    }
}

/// How much of a worry the age of a certificate is.
public enum CertificateStanding: Hashable, Sendable {
    case good
    /// It ends in less than `warningMilliseconds`. A member's is replaced a month before its end, so by then that has
    /// failed for half of the time there was.
    case endsSoon
    case ended

    /// 15 days.
    public static let warningMilliseconds: Int64 = 15 * 86_400_000

    public init(ends: Int64, now: Int64) {
        self = now >= ends ? .ended : ends - now < Self.warningMilliseconds ? .endsSoon : .good
    }
}
