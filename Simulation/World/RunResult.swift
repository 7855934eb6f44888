// What came out of a run: what was violated, who holds what, and for how long an address was silent.

import Cluster
import Consensus

/// A promise that was broken, on ground truth.
public struct Violation: Hashable, Sendable {
    /// The promise's name: doubleAddress, twoLeaders, logMatching, stateDiverged, nonLinearizable, notHealed …
    public let invariant: String
    /// True nanoseconds since the plan began.
    public let at: Int64
    public let words: String
}

public struct RunResult: Hashable, Sendable {
    public struct Gap: Hashable, Sendable {
        /// True nanoseconds since the plan began.
        public let from: Int64
        public let to: Int64
        public var length: Int64 { to - from }
    }

    public struct Address: Hashable, Sendable {
        public var holder: String?
        /// Times at which nobody answered for it, on ground truth.
        public var gaps: [Gap] = []
        /// Times at which the probing client got no reply.
        public var silences: [Gap] = []
        /// Most machines that answered at one moment.
        public var mostOwners = 0
    }

    public var name: String
    public var seed: UInt64
    public var hash: UInt64 = 0
    public var events: UInt64 = 0
    /// True nanoseconds, start-up included.
    public var simulated: Int64 = 0
    public var violations: [Violation] = []
    public var addresses: SortedMap<String, Address> = [:]
    public var leader: String?
    public var leaderChanges = 0
    public var operations = 0
    public var acknowledged = 0
    /// From the end of the faults until everything was true again; nil: it did not heal, or nobody asked.
    public var healedAfter: Int64?
    /// Why it was right not to heal.
    public var legitimateStall: String?
    /// Moments at which a resumed guest spoke beside the new holder, within the one lease that failover.md concedes.
    public var concededAfterPause = 0
    public var marks = Marks()
    public var story: [StoryLine] = []

    public init(name: String, seed: UInt64) {
        self.name = name
        self.seed = seed
    }

    public var isGood: Bool { violations.isEmpty }
}
