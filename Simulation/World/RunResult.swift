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

    /// A workload at the end, on ground truth but for the reason, which is the cluster's.
    public struct Workload: Hashable, Sendable {
        /// running, stopped, stuck (a process that can do no work), degraded (it was given up), absent (never made).
        public var state: String
        /// Where it runs, or where its configuration lies.
        public var host: String?
        /// Since the plan began.
        public var starts: Int
        public var moves: Int
        public var reason: String
    }

    /// A workload that was lost and runs again. Times are true nanoseconds since the plan began.
    public struct Recovery: Hashable, Sendable {
        public var workload: String
        public var lostAt: Int64
        /// When the hypervisor that runs it now was first asked to start it, its configuration being there; nil: it was
        /// started otherwise.
        public var issuedAt: Int64?
        public var startedAt: Int64
        public var from: String?
        public var to: String
        /// blocklist, watchdog or power; nil: nothing had to be fenced.
        public var fence: String?

        public init(
            workload: String, lostAt: Int64, issuedAt: Int64?, startedAt: Int64, from: String?, to: String,
            fence: String?
        ) {
            self.workload = workload
            self.lostAt = lostAt
            self.issuedAt = issuedAt
            self.startedAt = startedAt
            self.from = from
            self.to = to
            self.fence = fence
        }
    }

    /// A workload that is to run, was lost, and does not run again when the run ends.
    public struct Lost: Hashable, Sendable {
        public var workload: String
        /// True nanoseconds since the plan began.
        public var lostAt: Int64
        public var from: String?

        public init(workload: String, lostAt: Int64, from: String?) {
            (self.workload, self.lostAt, self.from) = (workload, lostAt, from)
        }
    }

    public struct Reset: Hashable, Sendable {
        public var host: String
        public var at: Int64
        public var why: String
    }

    public var name: String
    public var seed: UInt64
    public var workloads: SortedMap<String, Workload> = [:]
    public var recoveries: [Recovery] = []
    public var lost: [Lost] = []
    public var resets: [Reset] = []
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
