// Declarations on trial: in force at once, and undone at a deadline unless somebody confirms them. For changes that may
// cut off the very person who makes them. The deadline stands in the replicated state and the leader carries it out, so
// that it holds whatever becomes of the command line and of the member it talked to.
//
// While a trial runs no other declaration is accepted: what would be undone would otherwise no longer be what was tried.

import Consensus

/// A change of the declarations that is in force on trial.
public struct Trial: Hashable, Sendable, Codable {
    /// The revision that brought it; names it.
    public var revision: UInt64
    /// Whoever began it.
    public var actor: String
    /// Wall clock of the member that proposed it, and how long it may go on: milliseconds.
    public var beganMilliseconds: Int64
    public var lengthMilliseconds: Int64

    public var endsMilliseconds: Int64 { beganMilliseconds + lengthMilliseconds }

    /// Whether this person began it. An actor is a name, with the person's words behind it in parentheses if there were any.
    public func wasBegun(by name: String) -> Bool { actor == name || actor.hasPrefix(name + " (") }
}

extension ClusterState {
    /// A second to a day.
    public static let trialMilliseconds: ClosedRange<Int64> = 1_000...86_400_000

    mutating func settleTrial(_ wanted: UInt64, keep: Bool, _ record: CommandRecord) -> Outcome {
        guard let trial, trial.revision == wanted else {
            return refused(.notFound, "no trial of revision \(wanted) is under way; it was settled, or has ended")
        }
        self.trial = nil
        if keep {
            _ = note("TrialConfirmed", "cluster/\(clusterName)", "revision \(wanted) stays", record)
            return done("revision \(wanted) stays")
        }
        guard let before = declarations(at: wanted - 1) else {
            // It is the newest change, which is always kept.
            preconditionFailure("what was declared before a trial is known")
        }
        _ = note(
            "TrialRolledBack", "cluster/\(clusterName)", "revision \(wanted) was not confirmed", record)
        return restore(before, "rolled back the trial of \(wanted)", record)
    }

    /// Why the declarations may not be changed now; nil: they may.
    func refusalOfChange(check: UInt64?) -> Outcome? {
        if let trial {
            return refused(
                .conflict,
                "revision \(trial.revision) is on trial by \(trial.actor); "
                    + "confirm it (holdfast apply --confirm) or end it (holdfast apply --rollback) first")
        }
        return checkRevision(check)
    }
}
