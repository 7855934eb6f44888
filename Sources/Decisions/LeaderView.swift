// What a leader knows that is not in the replicated state, as input to its decisions: who is there, and who can
// certainly no longer be acting. Made anew for each decision; it holds for that moment only.

import Cluster
import Consensus

/// One moment of a leader's knowledge.
public struct LeaderView: Hashable, Sendable {
    public struct Standing: Hashable, Sendable {
        /// Heard of within the quorum lease (or not yet expected to have been heard of, right after an election).
        public var reachable: Bool
        /// It is certain that the member acts under no lease.
        public var leaseIsCertainlyOver: Bool
        /// For how long it has been heard of without a break, as far as this leader knows: in whole seconds, and no more
        /// than `mostSteady`, so that a view of a cluster at rest does not change with every look.
        public var steadyFor: Interval
        /// Entries it lacks, `mostLacking` for that many or more; nil when unknown.
        public var lacking: UInt64?
        /// Its disk has lost something it answered for; it neither votes nor counts until it was no voter for a moment.
        public var hasLostMemory: Bool
        /// For how long it has been certain that it acts under no lease, as far as this leader has seen: in tenths of a
        /// second, and no more than `mostLost`. Zero for members that run no guests.
        public var lostFor: Interval = .zero
        /// The same by what a leader knows from when it was a follower, of the leader before it: its lease had ended by then,
        /// as that of any other member that was last heard of at that time. Nothing is proven by it.
        public var silentFor: Interval = .zero
        /// For how long it has been coming and going, in whole seconds, and no more than `FenceDecisions.mostUnsteady`:
        /// since it was lost for the first time after it had been there for a while. Zero like `lostFor`.
        public var unsteadyFor: Interval = .zero

        /// No decision asks for more.
        public static let mostSteady = RoleDecisions.steadyBeforePreempt
        public static let mostLost = Interval.seconds(7_200)
        public static let mostLacking = VoterDecisions.mostLacking + 1

        public init(
            reachable: Bool, leaseIsCertainlyOver: Bool, steadyFor: Interval, lacking: UInt64?,
            hasLostMemory: Bool = false
        ) {
            self.reachable = reachable
            self.leaseIsCertainlyOver = leaseIsCertainlyOver
            self.steadyFor = steadyFor
            self.lacking = lacking
            self.hasLostMemory = hasLostMemory
        }
    }

    public var leader: MemberID
    public var standings: SortedMap<MemberID, Standing>
    /// In force now, committed or not.
    public var configuration: Configuration
    /// Members that have been away for longer than `LevelDecisions.patience`, in the order of their ids.
    public var longGone: [MemberID]
    /// Members that were ordered something under the fence of a host and of whose orders nothing can come any more, by host.
    public var finished: SortedMap<String, [MemberID]> = [:]
    /// Hosts about which a member that is there was ordered something under their fence, and has said for so long nothing of
    /// what came of it that it will not any more, in order.
    public var overdue: [String] = []
    /// For how long workloads have been as well, or as unwell, as they are now; see `HealthDecisions`.
    public var healthFor: SortedMap<ResourceKey, Interval> = [:]
    /// Everyone who is there can read a joint configuration.
    public var mayExchangeVoters: Bool

    public init(
        leader: MemberID, standings: SortedMap<MemberID, Standing>, configuration: Configuration,
        longGone: [MemberID] = [], mayExchangeVoters: Bool = false
    ) {
        self.leader = leader
        self.standings = standings
        self.configuration = configuration
        self.longGone = longGone
        self.mayExchangeVoters = mayExchangeVoters
    }

    public func hasLostMemory(_ member: MemberID) -> Bool { standings[member]?.hasLostMemory ?? false }
    public func isReachable(_ member: MemberID) -> Bool { standings[member]?.reachable ?? false }
}
