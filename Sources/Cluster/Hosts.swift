// What the cluster knows of the machines that run guests, and how it proves that a lost one can no longer write.
//
//     none ──beginFence──▶ wanted ──fenceProven──▶ proven ──hostIsClean──▶ clean ──liftFence──▶ lifting ──fenceLifted──▶ none
//                          │ │  ▲
//                          │ └──┘ fenceFailed, beginFence by another method or member
//                          └──cancelFence──▶ withdrawn ──fenceLifted──▶ none
//
// Whatever proves it in the end: once a blocklist was ordered its entry may be in force, and no way leads to `none` but
// through an order that takes it away.
//
// Nothing that ran on a host is placed elsewhere before `proven`, and the host starts nothing before `none`.

import Consensus

/// What proves that a lost host can no longer write to shared disks.
public enum FenceMethod: String, Hashable, Sendable, Codable, CaseIterable {
    /// The storage keeps its clients out. Suffices for disks on Ceph.
    case cephBlocklist
    /// Its power was cut, and it was seen to be off.
    case power
    /// It was reset by its watchdog, which it had armed, and enough time has passed.
    case watchdog
    /// A person says that it is off.
    case word
}

/// What a host is, as far as placing guests on it and fencing it are concerned.
public struct HostFacts: Hashable, Sendable, Codable {
    /// Another one after every start of the machine.
    public var boot: String
    /// Bytes of memory that guests may use together.
    public var memoryBytes: Int64
    public var cores: Int64
    /// The address of its clients of shared storage, as the storage sees it; empty: it has none.
    public var storageAddress: String
    /// After so long without being fed its watchdog resets the machine; 0: it has none.
    public var watchdogMilliseconds: Int64
    /// Whether the hypervisor's own cluster lets this host write its configuration now.
    public var isQuorate: Bool
    /// Whether the watchdog is armed, and stays so until the host has said otherwise. The agent's to say, not the driver's.
    public var isGuarded = false

    public init(
        boot: String, memoryBytes: Int64, cores: Int64, storageAddress: String = "", watchdogMilliseconds: Int64 = 0,
        isQuorate: Bool = true
    ) {
        self.boot = boot
        self.memoryBytes = memoryBytes
        self.cores = cores
        self.storageAddress = storageAddress
        self.watchdogMilliseconds = watchdogMilliseconds
        self.isQuorate = isQuorate
    }
}

/// How far the fencing of a host is.
public enum FencePhase: Hashable, Sendable {
    case none
    /// A member carries it out; by the watchdog, time does.
    case wanted(FenceMethod, by: MemberID)
    /// It is certain that the host writes no more. The words are for people.
    case proven(FenceMethod, proof: String)
    /// The host is back and has nothing left of its old guests.
    case clean(FenceMethod)
    case lifting(FenceMethod, by: MemberID)
    /// The host was there again before anything was proven; a member takes away what may have come of the attempts. What
    /// runs there goes on, and is placed nowhere else.
    case withdrawn(FenceMethod, by: MemberID)

    public var isNone: Bool { self == .none }
    public var isProven: Bool {
        switch self {
        case .none, .wanted, .withdrawn: false
        case .proven, .clean, .lifting: true
        }
    }
    public var method: FenceMethod? {
        switch self {
        case .none: nil
        case .wanted(let method, _), .proven(let method, _), .clean(let method), .lifting(let method, _),
            .withdrawn(let method, _):
            method
        }
    }
}

/// A machine that runs guests. Its name is its member's.
public struct HostRecord: Hashable, Sendable {
    /// Why a host goes down by its own word.
    public enum Leaving: String, Hashable, Sendable, Codable {
        case reboot, powerOff
    }

    public internal(set) var facts: HostFacts
    /// Guests are to leave it, and none comes.
    public internal(set) var isDraining = false
    public internal(set) var leaving: Leaving?
    /// The revision at which it said so; zero: it does not leave. Whoever said it first goes first.
    public internal(set) var leavingSince: UInt64 = 0
    public internal(set) var fence: FencePhase = .none
    /// Counts the fences of this host.
    public internal(set) var fenceEpoch: UInt64 = 0
    /// What was tried for the present fence in vain, each in a sentence; the newest `mostAttempts`.
    public internal(set) var attempts: [String] = []
    /// How often each way was tried in vain, for this fence.
    public internal(set) var failures: UInt64 = 0
    /// The address on which a blocklist was ordered for the present fence, whatever came of it. Empty: none was.
    public internal(set) var barred = ""
    /// Workloads that were deleted while a fence of this host was open and that other hosts may have run since: what is left
    /// of them here has to end before the fence does.
    public internal(set) var retired: SortedMap<ResourceKey, Declaration> = [:]
    public internal(set) var lastEvent: UInt64 = 0

    public static let mostAttempts = 8
    /// No more workloads can be deleted while a fence is open.
    public static let mostRetired = 1_024

    public init(facts: HostFacts) { self.facts = facts }
}

/// The machines' own fate is in nobody's hands for a while: nothing is fenced, moved or started elsewhere.
public struct Disarmed: Hashable, Sendable {
    public var revision: UInt64
    public var milliseconds: Int64
    public var actor: String
}
