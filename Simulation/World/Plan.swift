// What one run consists of: who is there, what is declared, what befalls them and when, and what is expected. A scenario
// file and a random seed both come to this; the shrinker makes one smaller.

import Cluster
import Consensus

/// One run of the simulator.
public struct Plan: Hashable, Sendable {
    /// A machine with an agent on it.
    public struct Member: Hashable, Sendable {
        public var name: String
        public var kind: MemberKind
        /// For a guest: the host it runs on.
        public var host: String
        public var version = "1.0.0"
        /// How fast its clock runs, against true time.
        public var driftPartsPerMillion: Int64 = 0
        /// It joins when the timeline says so, not at the start.
        public var joinsLater = false
        /// For a host: bytes of memory and processors that its guests may use.
        public var memory: Int64 = 128 << 30
        public var cores: Int64 = 16
        /// For a guest: the workload that it runs in; empty: it stays on its host whatever happens.
        public var workload = ""
        /// Its identity; nil: one by its place among the others.
        public var id: MemberID?
        /// For a host of a present cluster: what it has said of itself.
        public var facts: HostFacts?
        /// Roles of a present cluster whose health check fails on it.
        public var unwell: [ResourceKey] = []

        public init(name: String, kind: MemberKind, host: String = "") {
            self.name = name
            self.kind = kind
            self.host = host
        }
    }

    public struct Address: Hashable, Sendable {
        public var name: String
        public var address: String
        public var candidates: [String]
        public var preempt = "never"
        /// Whether candidates may hold it only while their health check passes.
        public var follows = false

        public init(name: String, address: String, candidates: [String]) {
            self.name = name
            self.address = address
            self.candidates = candidates
        }
    }

    public struct Moment: Hashable, Sendable {
        /// True nanoseconds since everybody joined and everything was declared.
        public var at: Int64
        public var action: Happening
        /// Line of the scenario file; zero for a drawn one.
        public var line: Int

        public init(at: Int64, action: Happening, line: Int = 0) {
            self.at = at
            self.action = action
            self.line = line
        }
    }

    public struct Conditions: Hashable, Sendable {
        public var delay: ClosedRange<Int64> = 80_000...250_000
        /// Chances in a million, for each frame.
        public var loss = 0
        public var copies = 0
        public var late = 0
        /// How long a write takes to become durable.
        public var diskLatency: ClosedRange<Int64> = 300_000...4_000_000
        /// From the end of an outage of power to the start of the agent.
        public var hostBoot: ClosedRange<Int64> = 20_000_000_000...40_000_000_000
        public var guestBoot: ClosedRange<Int64> = 5_000_000_000...15_000_000_000
        /// Entries after which a snapshot is due.
        public var snapshotEvery = 10_000
        /// Bytes of a snapshot in one message.
        public var snapshotChunk = 64 * 1024
        /// How long a member's certificate is valid from when it is signed.
        public var certificateLife = Certificates.usualLife * 1_000_000
        /// Between two probes of the watching client; zero: nobody probes.
        public var probeEvery: Int64 = 0
        public init() {}
    }

    public struct Clients: Hashable, Sendable {
        public var count = 0
        /// Mean time between an answer and the next request.
        public var think: Int64 = 400_000_000
        public var keys = 4
        public init() {}
    }

    /// What a scenario expects beyond what must hold always.
    public struct Expectation: Hashable, Sendable {
        /// Address → members of which one holds it at the end. An empty list: nobody does.
        public var holders: SortedMap<String, [String]> = [:]
        /// No address was silent, and no workload down that could run, for longer than this; true nanoseconds.
        public var recoveredWithin: Int64?
        /// Addresses that were never silent for longer than the time given here.
        public var gaps: SortedMap<String, Int64> = [:]
        public var leader: [String] = []
        /// Who belongs to the cluster at the end, as it says itself; nil: not looked at.
        public var members: [String]?
        /// Most changes of the leader after the start.
        public var mostLeaderChanges: Int?
        /// Whether somebody leads at the end; nil: not looked at.
        public var quorum: Bool?
        /// What is to be true of workloads at the end.
        public var workloads: SortedMap<String, Final> = [:]
        /// How long workloads may have been down at most, while a host could have run them.
        public var recoveries: SortedMap<String, Int64> = [:]
        /// The hosts that were reset; nil: not looked at.
        public var resets: [String]?
        /// Hosts that their agents had restarted by a person's order, those and no others.
        public var restarts: [String]?

        /// Nil is not looked at.
        public struct Final: Hashable, Sendable {
            public var states: [String]?
            public var hosts: [String]?
            /// A part of the reason that the cluster gives.
            public var reason: String?
            public var starts: Int64?
            public init() {}
        }
        public init() {}
    }

    public var name: String
    public var about = ""
    public var seed: UInt64
    /// True nanoseconds of the part with faults.
    public var length: Int64
    /// After `length` everything is made well, and must be true again within this bound; nil: the run just ends.
    public var healsWithin: Int64?
    public var members: [Member] = []
    public var addresses: [Address] = []
    public var storage = Storage.local
    /// Everything is declared only when every host has said what it has, as people do who look before.
    public var declaresLate = false
    public var workloads: [Workload] = []
    public var rules: [Rule] = []
    public var policy = Policy()
    public var hypervisors = Hypervisors()
    public var timing = Timing()
    public var conditions = Conditions()
    public var clients = Clients()
    public var timeline: [Moment] = []
    /// The cluster that the plan begins with, as it is; nil: it founds one.
    public var present: Present?
    public var expect = Expectation()

    public init(name: String, seed: UInt64, length: Int64) {
        self.name = name
        self.seed = seed
        self.length = length
    }
}
