// A member in a version that cannot follow the others: it stops before its state parts from theirs, and says what to do.
// Its log and its votes are as good as anybody's; what it must not do is to apply what it does not understand.

import Cluster
import Consensus

extension AgentCore {
    /// The newest feature level this version understands.
    private var understood: UInt64 { setup.record.level ?? 0 }

    /// False, with the agent halted, at an entry of a level that this version does not understand.
    mutating func mayApply(_ entry: Entry, needing needed: UInt64?) -> Bool {
        guard let needed, needed > understood else { return true }
        halt(
            at: entry.index,
            "it needs feature level \(needed), and version \(setup.record.version) understands \(understood)")
        return false
    }

    /// Halts when the level in force is one that this version does not understand.
    mutating func requireLevel(of index: LogIndex) {
        guard state.level > understood, halted == nil else { return }
        halt(
            at: index,
            "feature level \(state.level) is in force from there on, and version \(setup.record.version) understands "
                + "\(understood)")
    }

    mutating func halt(at index: LogIndex, _ why: String) {
        halted =
            "this version cannot follow the cluster beyond entry \(index): \(why); install here what the other members run "
            + "(holdfast cluster members, on one of them) and start the agent again"
    }

    mutating func tellHalt() {
        nextDeadline = .distantFuture
        guard !isHaltTold, let halted else { return }
        isHaltTold = true
        effects.append(.halt(halted))
    }
}
