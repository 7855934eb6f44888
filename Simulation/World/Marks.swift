// Coverage of what the protocol distinguishes: each mark is one branch that a corpus of runs must have reached, so that a
// promise is not kept merely because its case never came up.

/// The branches a run went through, one bit each.
public struct Marks: Hashable, Sendable {
    public enum Mark: Int, CaseIterable, Sendable {
        case leaderElected, leaderReplaced, leaderSteppedDown, termWithoutLeader
        case logTruncated, entryOfOlderTermCommitted, restartWithTornWrite
        case leaseOverNotHeard, holderLost, holderReleased, ticketRanOut, elementRanOut
        case witnessLed, hostLed, configurationChanged, memberRemoved, memberJoinedLate
        case noQuorum, allMachinesDown, guestResumed, agentResumed, diskStalledOnLeader
        case requestRetriedElsewhere, requestUnknown, readAnswered, compareAndSetFailed
        case agentFailedOnDisk, logRefused, clockStepped, versionChanged, transferDone
    }

    private var bits: UInt64 = 0

    public init() {}
    public mutating func reach(_ mark: Mark) { bits |= 1 << UInt64(mark.rawValue) }
    public func has(_ mark: Mark) -> Bool { bits & (1 << UInt64(mark.rawValue)) != 0 }
    public mutating func formUnion(_ other: Marks) { bits |= other.bits }
    public var reached: [Mark] { Mark.allCases.filter(has) }
    public var missing: [Mark] { Mark.allCases.filter { !has($0) } }
}
