// Fencing, as orders to a driver and its reports: the proof that a lost host can no longer write to shared disks.
// Which method, in which order, and who carries it out is decided in Decisions and stands in the replicated state.

import Cluster
import Consensus

/// An order to the fence driver of the member that was chosen to carry it out.
public enum FenceOrder: Hashable, Sendable {
    /// Keep every client on the host's storage address from writing (`ceph osd blocklist add ADDRESS:0/0`), for years, mark
    /// its OSDs down, and wait until the map with the entry is in force. Repeated, it reports again.
    case blocklist(host: String, epoch: UInt64, address: String)
    /// Take the entry away: nothing of the host's old guests is left.
    case unblocklist(host: String, epoch: UInt64, address: String)
    /// Cut the host's power by the command of the user's, and make sure that it is off.
    case powerOff(host: String, epoch: UInt64, command: [String])
}

public enum FenceReport: Hashable, Sendable {
    /// It is certain that the host writes no more. `proof` is what makes it so, for people: `blocklisted in OSD map 812`.
    case fenced(host: String, epoch: UInt64, proof: String)
    case lifted(host: String, epoch: UInt64)
    case failed(host: String, epoch: UInt64, reason: String)
}

/// An order to this host's watchdog. A machine whose watchdog is armed and not fed is reset by it.
public enum WatchdogOrder: Hashable, Sendable {
    /// Arm it, if it is not yet, and feed it, so that it fires `timeout` after `until` and not before. Repeated with a later
    /// `until` at every renewal of the lease. An order whose `until` has passed feeds nothing.
    case feed(until: Instant, timeout: Interval)
    /// Disarm it: nothing that needs it runs here.
    case close
}
