// Coverage of what the protocol distinguishes: each mark is one branch that a corpus of runs must have reached, so that a
// promise is not kept merely because its case never came up.

import Agent
import Consensus

/// The branches a run went through, one bit each.
public struct Marks: Hashable, Sendable {
    public enum Mark: Int, CaseIterable, Sendable {
        // Elections.
        case preVoteGranted, preVoteDenied, voteGranted, voteDenied, termWithoutLeader, leaderSteppedDown
        case leaderReplaced, hostLed, witnessLed, campaignOrdered, outdatedLeaderTold
        // The log.
        case appendAccepted, appendRefused, logTruncated, entryOfOlderTermCommitted, commitNoticed
        case restartWithTornWrite, memoryLost, agentFailedOnDisk, leaderDiskStalled
        case snapshotTaken, snapshotInstalled, snapshotResumed, snapshotUnreadable, snapshotAsked, logDropped
        // Leases and addresses.
        case leaseAsked, leaseGranted, elementRanOut, ticketRanOut, guestResumed, agentResumed
        // The state.
        case memberLost, roleAssigned, roleReleased, roleVacated, candidateUnfit
        case configurationChanged, memberRemoved, memberJoinedLate, versionChanged, clockStepped
        // Requests.
        case proposalForwarded, proposalRefused, readForwarded, readRefused, readAnswered
        case requestTriedElsewhere, requestUnknown, compareAndSetFailed, leadershipTransferred
        // The lab.
        case noQuorum, allMachinesDown
        // Workloads.
        case guestStarted, guestStartFailed, guestMoved, outcomeUnknown, votesLowered
        case hostFenced, fenceLifted, watchdogFired, moveFailedLate, orderSuperseded

        /// Whether it can be reached in a lab with workloads only.
        public var isOfWorkloads: Bool { rawValue >= Mark.guestStarted.rawValue }
    }

    private var bits: UInt64 = 0

    public init() {}
    public mutating func reach(_ mark: Mark) { bits |= 1 << UInt64(mark.rawValue) }
    public func has(_ mark: Mark) -> Bool { bits & (1 << UInt64(mark.rawValue)) != 0 }
    public mutating func formUnion(_ other: Marks) { bits |= other.bits }
    public var reached: [Mark] { Mark.allCases.filter(has) }
    public var missing: [Mark] { Mark.allCases.filter { !has($0) } }
}

extension World {
    /// What a frame that arrives tells of the branch its sender took.
    func markFrame(_ frame: PeerFrame) {
        switch frame.body {
        case .consensus(_, let message): markMessage(message)
        case .proposal: marks.reach(.proposalForwarded)
        case .proposalRefused: marks.reach(.proposalRefused)
        case .readIndex: marks.reach(.readForwarded)
        case .readIndexAnswer(_, let index): if index == nil { marks.reach(.readRefused) }
        case .recoveryProbe, .recoveryStatus, .epoch, .membersAsked, .members, .handOver: break
        }
    }

    private func markMessage(_ message: Message) {
        switch message {
        case .preVoteReply(let reply): marks.reach(reply.granted ? .preVoteGranted : .preVoteDenied)
        case .voteReply(let reply): marks.reach(reply.granted ? .voteGranted : .voteDenied)
        case .appendReply(.accepted): marks.reach(.appendAccepted)
        case .appendReply(.refused): marks.reach(.appendRefused)
        case .heartbeatReply(let reply):
            if reply.round == 0 { marks.reach(.outdatedLeaderTold) }
            if reply.leaseAsked != nil { marks.reach(.leaseAsked) }
        case .leaseGrant: marks.reach(.leaseGranted)
        case .commitNotice: marks.reach(.commitNoticed)
        case .campaignNow: marks.reach(.campaignOrdered)
        case .snapshotReply(let reply):
            // The leader began at the front, and the member has more than what it was sent.
            if reply.offset == 0, reply.received > plan.conditions.snapshotChunk { marks.reach(.snapshotResumed) }
        case .snapshotChunk(let chunk): if chunk.bytes.isEmpty { marks.reach(.snapshotAsked) }
        case .preVoteRequest, .voteRequest, .appendRequest, .heartbeat, .memoryLost, .readmitted,
            .startIsOver:
            break
        }
    }
}
