// Fencing, as orders to a driver and its reports: the proof that a lost host can no longer write to shared disks.
// Which method, in which order, and who carries it out is decided in Decisions and stands in the replicated state.

import Cluster
import Consensus

/// An order to the fence driver of the member that was chosen to carry it out.
///
/// An order that comes late would undo a newer one of another member: an entry that is taken away under a fence of a
/// later epoch lets two hosts write. Members do not know of each other's orders, and neither does the storage, so each
/// driver guarantees three things, and the leader waits for what they leave open before it asks another member:
///
/// - Orders about one host are carried out one after another, in the order they came, whatever their epochs.
/// - An order is begun before its `until`, looked at on CLOCK_BOOTTIME at the last moment before it leaves this machine, or
///   never; and it has its effect within `mostLength` of having begun, or never. What hangs is ended then.
/// - Nothing of an order outlives the process that was given it.
public enum FenceOrder: Hashable, Sendable {
    /// Keep every client on each of the host's storage addresses from writing (`ceph osd blocklist add ADDRESS:0/0`), for
    /// years, mark its OSDs down, and wait until a map with all the entries is in force. Repeated, it reports again.
    case blocklist(host: String, epoch: UInt64, addresses: [String], until: Instant = .distantFuture)
    /// Take the entries away: nothing of the host's old guests is left.
    case unblocklist(host: String, epoch: UInt64, addresses: [String], until: Instant = .distantFuture)
    /// Cut the host's power by the command of the user's, and make sure that it is off.
    case powerOff(host: String, epoch: UInt64, command: [String], until: Instant = .distantFuture)

    /// An order is begun within this, or reported as failed.
    public static let mostWait = Interval.seconds(5)
    /// From its beginning to its effect: two commands of Ceph, which end after 20 s each. More than two are given this time
    /// together.
    public static let mostLength = Interval.seconds(40)
    /// After so long without a member nothing that it was ordered can come any more.
    public static let certainlyOver = mostWait + mostLength + .seconds(5)

    public var host: String {
        switch self {
        case .blocklist(let host, _, _, _), .unblocklist(let host, _, _, _), .powerOff(let host, _, _, _): host
        }
    }
    public var epoch: UInt64 {
        switch self {
        case .blocklist(_, let epoch, _, _), .unblocklist(_, let epoch, _, _), .powerOff(_, let epoch, _, _): epoch
        }
    }
    public var until: Instant {
        switch self {
        case .blocklist(_, _, _, let until), .unblocklist(_, _, _, let until), .powerOff(_, _, _, let until): until
        }
    }
    public var method: FenceMethod {
        switch self {
        case .blocklist, .unblocklist: .cephBlocklist
        case .powerOff: .power
        }
    }
    /// The storage addresses that it is about; by power, none.
    public var addresses: [String] {
        switch self {
        case .blocklist(_, _, let addresses, _), .unblocklist(_, _, let addresses, _): addresses
        case .powerOff: []
        }
    }
}

/// What came of an order: one report for each that was begun, and of no other.
///
/// A report names its whole order. Several about one host and one fence may be under way or wait behind each other:
///
///     ordered    blocklist ─────────────────── power off (waits for the one before)
///     reported                                                     the blocklist is in force
///
/// Taken for one of what was ordered last, an address that is barred from Ceph would be a proof by power, which counts for
/// disks that Ceph knows nothing of.
public enum FenceReport: Hashable, Sendable {
    /// It is certain that the host writes no more. `proof` is what makes it so, for people: `blocklisted in OSD map 812`.
    case fenced(FenceOrder, proof: String)
    case lifted(FenceOrder)
    case failed(FenceOrder, reason: String)

    public var order: FenceOrder {
        switch self {
        case .fenced(let order, _), .lifted(let order), .failed(let order, _): order
        }
    }
}

/// An order to this host's watchdog. A machine whose watchdog is armed and not fed is reset by it.
public enum WatchdogOrder: Hashable, Sendable {
    /// Arm it, if it is not yet, and feed it, so that it fires `timeout` after `until` and not before. Repeated with a later
    /// `until` at every renewal of the lease. An order whose `until` has passed feeds nothing. Answered by a report.
    case feed(until: Instant, timeout: Interval)
    /// Disarm it: nothing that needs it runs here.
    case close
}

/// What came of an order to feed the watchdog. Until the first one says that it is armed nobody may count on it: a device
/// that another program holds, or a multiplexer that has died, resets nothing.
public struct WatchdogReport: Hashable, Sendable {
    /// Of the order that it answers.
    public var until: Instant
    /// Why this machine would not be reset; nil: it is armed, and was fed.
    public var failure: String?

    public init(until: Instant, failure: String? = nil) {
        self.until = until
        self.failure = failure
    }
}
