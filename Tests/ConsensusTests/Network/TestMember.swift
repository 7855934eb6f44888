// One member of a TestCluster: the Raft value while its process lives, its disk and clock, and what it applied.

import Consensus

struct TestMember {
    let id: MemberID
    let rank: LeadershipRank
    /// What a restart is given as the configuration before the log.
    let initialConfiguration: Configuration
    let partsPerMillion: Int64
    /// Nil while the process is dead.
    var raft: Raft?
    var incarnation: UInt64 = 0
    var clock: TestClock
    var disk = TestDisk()
    var random: SplitMix64
    var state = TestState()
    /// As the member was told last.
    var lease: (until: Instant, floor: LogIndex)?
    var wantsLease: Bool
    /// When the next tick event comes.
    var tickAt = Int64.max
    var willFlush = false
    /// The index of the last snapshot begun here.
    var snapshotBegun = LogIndex.zero
    /// What arrived while the member was paused.
    var backlog: [TestEvent] = []
    /// The role proposal this leader made last, so that it does not repeat itself.
    var proposed: (term: Term, epoch: UInt8)?

    var isUp: Bool { raft != nil }

    /// Whether it acts on the exclusive role now.
    func acts(at now: Int64) -> Bool {
        guard raft != nil, !clock.isPaused, case .held(id) = state.phase, let lease else { return false }
        return clock.reading(at: now) < lease.until && state.applied >= lease.floor
    }

    /// Whether a lease is out, usable or not.
    func holdsLease(at now: Int64) -> Bool {
        guard raft != nil, !clock.isPaused, let lease else { return false }
        return clock.reading(at: now) < lease.until
    }
}
