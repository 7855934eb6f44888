// The restart of a host by a person's order. The order stands in the replicated state until the machine has started anew:
// whoever gave it may go away, and so may the agent that is at it, and anybody can take it back.
//
//     none ──orderRestart──▶ ordered ──beginRestart──▶ begun ──reportHost, of another boot──▶ none
//      ▲                        │                        │
//      └──── cancelRestart ─────┴──── restartFailed ─────┘
//
// While it is ordered the host leaves by plan: its guests leave it or end. Once it is empty, and the rest can do without it,
// its agent begins, gives its roles away, and has the machine restarted. An agent that finds the restart begun, and not by
// itself, in the boot in which it was begun, says that it has failed.
//
// A machine that does not come up again counts as lost after a while, and is fenced like any other (FenceDecisions): what
// stayed there is not left waiting for it. The order stands all the same, and bars that of another host, until the machine is
// back or a person takes it back.
//
// Whether the rest can do without the host is judged in Decisions. Here it is only certain that not two hosts go at the same
// time, unless a person insists.

import Consensus

/// A restart that was ordered.
public struct HostRestart: Hashable, Sendable {
    /// The revision at which it was ordered; its name.
    public internal(set) var order: UInt64
    /// Whatever else is away.
    public internal(set) var isForced = false
    /// The host is empty and about to be restarted.
    public internal(set) var hasBegun = false
}

extension ClusterState {
    mutating func orderRestart(_ name: String, isForced: Bool, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        if let restart = present.restart, restart.isForced || !isForced {
            return unchanged("\(name) is being restarted already")
        }
        if !isForced {
            if let disarmed {
                return refused(.unsafe, "the cluster was disarmed by \(disarmed.actor), so that no guest can leave")
            }
            guard present.fence.isNone else { return refused(.unsafe, "\(name) is fenced, or about to be") }
            if let other = hosts.pairs.first(where: { $0.0 != name && ($0.1.leaving != nil || $0.1.restart != nil) }) {
                return refused(.unsafe, "\(other.0) goes down as well")
            }
        }
        let event = note(
            "HostRestartOrdered", "host/\(name)", "it is to be restarted: its guests leave it or end first",
            cause: present.lastEvent, record)
        var restart = present.restart ?? HostRestart(order: revision)
        restart.isForced = isForced
        _ = hosts.update(name) {
            $0.restart = restart
            $0.leaving = $0.leaving ?? .reboot
            $0.lastEvent = event
        }
        forgetHealthObstacles(on: name)
        return done("\(name) restarts when its guests have left it or ended")
    }

    mutating func cancelRestart(_ name: String, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard let restart = present.restart else { return unchanged("\(name) was not to be restarted") }
        endRestart(of: name, "HostStays", "it is not restarted after all", record)
        return done("\(name) is not restarted" + (restart.hasBegun ? ", unless it has gone already" : ""))
    }

    mutating func beginRestart(_ name: String, order: UInt64, _ record: CommandRecord) -> Outcome {
        guard let present = hosts[name] else { return refused(.notFound, "no host \(name)") }
        guard let restart = present.restart, restart.order == order, present.leaving != nil else {
            return refused(.conflict, "\(name) is not to be restarted any more")
        }
        guard !restart.hasBegun else { return unchanged() }
        let other = hosts.pairs.first { $0.0 != name && $0.1.restart?.hasBegun == true }
        if let other, !restart.isForced { return refused(.conflict, "\(other.0) is being restarted") }
        let event = note(
            "HostRestarting", "host/\(name)", "its guests have left it or ended: it restarts", cause: present.lastEvent,
            record)
        _ = hosts.update(name) {
            $0.restart?.hasBegun = true
            $0.lastEvent = event
        }
        return done()
    }

    /// The host is still up although its restart had begun.
    mutating func restartFailed(_ name: String, order: UInt64, reason: String, _ record: CommandRecord) -> Outcome {
        guard let restart = hosts[name]?.restart, restart.order == order, restart.hasBegun else { return unchanged() }
        endRestart(of: name, "HostNotRestarted", reason, record)
        return done()
    }

    private mutating func endRestart(of name: String, _ type: String, _ words: String, _ record: CommandRecord) {
        let event = note(type, "host/\(name)", words, cause: hosts[name]?.lastEvent ?? 0, record)
        _ = hosts.update(name) {
            $0.restart = nil
            // Where the machine goes down for another reason, its agent says so again.
            $0.leaving = nil
            $0.lastEvent = event
        }
    }
}

extension StateWriter {
    mutating func write(_ restart: HostRestart) {
        field(1, restart.order)
        field(2, restart.isForced ? 1 : 0)
        field(3, restart.hasBegun ? 1 : 0)
    }
}

extension StateReader {
    mutating func restart() throws(StateDecodingError) -> HostRestart {
        var restart = HostRestart(order: 0)
        while let field = try next() {
            switch field {
            case 1: restart.order = try count()
            case 2: restart.isForced = try number() == 1
            case 3: restart.hasBegun = try number() == 1
            default: throw unknown(field, of: "the restart of a host")
            }
        }
        return restart
    }
}
