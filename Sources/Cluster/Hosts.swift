// What the cluster knows of the machines that run guests, and how it proves that a lost one can no longer write.
//
//     none ──beginFence──▶ wanted ──fenceProven──▶ proven ──hostIsClean──▶ clean ──liftFence──▶ lifting ──fenceLifted──▶ none
//                          │ │  ▲
//                          │ └──┘ fenceFailed, beginFence by another method or member; in `proven` too, for a further proof
//                          └──cancelFence──▶ withdrawn ──fenceLifted──▶ none
//
// Who is to lift it (in `lifting` and `withdrawn`) and fails again and again is relieved by `handLift`: another one has it from
// then on, and begins when `liftFence` says that nothing of the first one's orders can come any more.
//
// Whatever proves it in the end: once a blocklist was ordered its entry may be in force, and no way leads to `none` but
// through an order that takes it away.
//
// Nothing that ran on a host is placed elsewhere before `proven`, and the host starts nothing before `none`.
//
// A proof is about what was on the host at a certain moment: what came there later, with a move that was under way, may run
// and write all the same (Placements.swift, `isUnseen`).

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
    /// Another one after every start of the machine; empty: it could not be read.
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
    /// Whether its agent has been unable for a while to look at its guests. The agent's to say, not the driver's; nil: it can.
    public var isBlind: Bool?
    /// After another host is lost its hypervisor's own cluster lets nobody write for up to so long; nil: not known.
    public var pauseMilliseconds: Int64?

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

/// A way of proving, and the member that is to carry it out.
public struct FenceTask: Hashable, Sendable {
    public var method: FenceMethod
    public var member: MemberID

    public init(_ method: FenceMethod, by member: MemberID) {
        self.method = method
        self.member = member
    }
}

/// One proof that a host writes no more, and what it is a proof of.
public struct FenceProof: Hashable, Sendable {
    public var method: FenceMethod
    /// What makes it certain, for people: `blocklisted in OSD map 812`. Empty where an earlier version did not keep it.
    public var words: String
    /// The revision at which it was ordered: what had come to the host by then had come before the proof.
    public var ordered: UInt64
    /// The revision at which it was known.
    public var since: UInt64

    public init(_ method: FenceMethod, words: String, ordered: UInt64, since: UInt64) {
        self.method = method
        self.words = words
        self.ordered = ordered
        self.since = since
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
    /// A person's order to restart it; while it stands, the host leaves.
    public internal(set) var restart: HostRestart?
    public internal(set) var fence: FencePhase = .none
    /// What is proven of it, in the order in which it was: empty until the first proof, and when no fence is open. At most one
    /// of each method, the newest.
    public internal(set) var proofs: [FenceProof] = []
    /// What is to prove it besides: what is proven does not suffice for every guest that is there.
    public internal(set) var further: FenceTask?
    /// The revision at which the present way of proving was ordered.
    public internal(set) var orderedAt: UInt64 = 0
    /// Who was ordered anything about the host's storage or power under the present fence, and may be at it still. In the order
    /// in which they were asked; the entry is taken away by one of them, or by another when nothing of theirs can come any more.
    public internal(set) var ordered: [MemberID] = []
    /// Counts the fences of this host.
    public internal(set) var fenceEpoch: UInt64 = 0
    /// What was tried for the present fence in vain, each in a sentence; the newest `mostAttempts`.
    public internal(set) var attempts: [String] = []
    /// How often each way was tried in vain, for this fence.
    public internal(set) var failures: UInt64 = 0
    /// The same when the present order was given: with more since, that one has failed.
    public internal(set) var failuresAtOrder: UInt64 = 0
    /// The addresses on which a blocklist was ordered for the present fence, whatever came of it, in their order. Empty: none
    /// was.
    public internal(set) var barred: [String] = []
    /// Workloads that were deleted while a fence of this host was open and that other hosts may have run since: what is left
    /// of them here has to end before the fence does.
    public internal(set) var retired: SortedMap<ResourceKey, Declaration> = [:]
    /// Addresses besides its own at which its guests had disks open in earlier boots, until one of the present boot is seen
    /// with its disks open: its hypervisor may have started some by itself, and a fence must keep those out as well. At most
    /// `mostBarred`.
    public internal(set) var earlierAddresses: [String] = []
    public internal(set) var lastEvent: UInt64 = 0

    /// What a member is to carry out now.
    public var task: FenceTask? {
        if case .wanted(let method, let member) = fence { return FenceTask(method, by: member) }
        if case .proven = fence { return further }
        return nil
    }
    /// Whether somebody but a member may still be at an order of the present fence.
    public func isOrdered(besides member: MemberID) -> Bool { ordered.contains { $0 != member } }
    /// Whether a member gives its driver orders about the host now, under the present fence.
    public func isAtWork(_ member: MemberID) -> Bool {
        switch fence {
        case .lifting(_, member), .withdrawn(_, member): !isOrdered(besides: member)
        default: task?.member == member
        }
    }
    /// Who gives its driver orders about the host now; nil: nobody.
    public var worker: MemberID? {
        switch fence {
        case .lifting(_, let member), .withdrawn(_, let member): isOrdered(besides: member) ? nil : member
        default: task.flatMap { $0.method == .watchdog ? nil : $0.member }
        }
    }
    /// How often the present order has failed.
    public var failuresOfOrder: UInt64 { failures - min(failuresAtOrder, failures) }

    public static let mostAttempts = 8
    /// A host with more storage addresses is not fenced by them.
    public static let mostBarred = 32
    /// No more workloads can be deleted while a fence is open.
    public static let mostRetired = 1_024

    public init(facts: HostFacts) { self.facts = facts }
}

extension ClusterState {
    /// Whether it is certain that a host is neither at work nor about to be. One that is back is not, however far the lifting
    /// of its fence is; and of one that is no host of this cluster nothing is known.
    public func isProvenAway(_ name: String) -> Bool {
        guard case .proven = hosts[name]?.fence else { return false }
        return member(named: name)?.reachable != true
    }
}

/// The machines' own fate is in nobody's hands for a while: nothing is fenced, moved or started elsewhere.
public struct Disarmed: Hashable, Sendable {
    public var revision: UInt64
    public var milliseconds: Int64
    public var actor: String
}
