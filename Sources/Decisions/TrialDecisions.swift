// When what is on trial is undone: a plain function of the trial and of what the deciding member's clocks say.

import Cluster
import Consensus

public enum TrialDecisions {
    /// How far the wall clock of a member that sees a trial begin may be from the one that stands in it.
    static let mostDelayMilliseconds: UInt64 = 5_000

    /// Whether a member that learns of a trial now sees it begin, so that its own clock is enough. One that was cut off
    /// learns of it late, with everything else that it missed; counted from then, the trial would run on by as much.
    /// - Parameters:
    ///   - isCurrent: whether its state has once been as new as the cluster's since it started.
    ///   - wallMilliseconds: its wall clock, milliseconds since 1970.
    public static func seesBegin(of trial: Trial, isCurrent: Bool, wallMilliseconds: Int64) -> Bool {
        isCurrent && (wallMilliseconds &- trial.beganMilliseconds).magnitude <= mostDelayMilliseconds
    }

    /// Undoes a trial whose time is over.
    ///
    /// A member that saw the trial begin counts on its own clock, which nobody can set. Wall clocks of two members may be
    /// far apart, so the time that stands in the trial says little to anybody but who wrote it. A member that was started
    /// or cut off since has nothing better: it goes by the wall clock and by its own, whichever is over first. Undoing early is the
    /// safe side of a wrong clock.
    /// - Parameters:
    ///   - seenFor: how long the deciding member has known of this trial, on its own clock.
    ///   - wallMilliseconds: its wall clock, milliseconds since 1970; nil when it saw the trial begin.
    public static func decide(state: ClusterState, seenFor: Interval, wallMilliseconds: Int64?) -> Command? {
        guard let trial = state.trial else { return nil }
        let isOver =
            seenFor >= .milliseconds(trial.lengthMilliseconds)
            || wallMilliseconds.map { $0 >= trial.endsMilliseconds } ?? false
        return isOver ? .settleTrial(revision: trial.revision, keep: false) : nil
    }
}
