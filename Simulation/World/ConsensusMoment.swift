// What can be seen of one member's consensus from outside, moment by moment: the value after a turn, what went in, what
// came out, and what the disk holds. For recorders; the world itself does not look at it.

import Agent
import Consensus

public struct ConsensusMoment {
    public enum Happened {
        /// A process began with what the disk holds.
        case started
        /// A turn of the agent: at most one event went in.
        case turned([AgentEvent], [AgentEffect])
        /// A write is on disk; what it held back leaves now, unless the process stands still.
        case persisted(LogWrite)
    }

    /// True nanoseconds.
    public let at: Int64
    /// The machine's number; its member is one more.
    public let member: Int
    public let happened: Happened
    public let raft: Raft
    public let diskHardState: HardState
    public let diskEntries: [Entry]
}

extension World {
    func observe(_ happened: ConsensusMoment.Happened, of machine: Machine) {
        guard let raft = machine.process?.core.raft else { return }
        observer?(
            ConsensusMoment(
                at: now, member: machine.index, happened: happened, raft: raft,
                diskHardState: machine.disk.hardState, diskEntries: machine.disk.entries))
    }

    /// True nanoseconds at which the plan itself began, once it has.
    public var beganAt: Int64 { planBegan }
}
