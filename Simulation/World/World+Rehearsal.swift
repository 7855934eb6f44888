// A rehearsal: something befalls a present cluster, and the world goes on until nothing changes any more.

import Cluster
import Consensus

/// What is true of a present cluster before anything befalls it, and after.
public struct Rehearsal: Sendable {
    /// Workloads, by key, with what was true of them before; as in `RunResult.workloads`.
    public var before: SortedMap<String, RunResult.Workload> = [:]
    /// Who held each address before.
    public var holders: SortedMap<String, String> = [:]
    public var leaderBefore: String?
    public var result: RunResult
    /// Who leads at the end.
    public var leader: String?
    /// The state of whoever had applied most at the end; nil: no agent was left.
    public var state: ClusterState?
    /// When it came to rest, true nanoseconds since the first happening; nil: it did not within the bound.
    public var restedAt: Int64?
    /// It was ended from outside.
    public var wasCancelled = false
}

extension World {
    /// - Parameters:
    ///   - groups: what befalls it at once; each group when everything has come to rest from the one before.
    ///   - calm: for how long nothing may change before it counts as rest, nanoseconds. Longer than anything that is waited
    ///     for in silence, like the time of a watchdog.
    ///   - bound: for how long each group is followed at most, nanoseconds.
    public func rehearse(_ groups: [[Happening]], calm: Int64, within bound: Int64) -> Rehearsal {
        precondition(plan.present != nil, "only a cluster that is there is rehearsed with")
        var rehearsal = Rehearsal(result: result)
        if beginPlan() {
            if let lab {
                for number in lab.guests.indices {
                    rehearsal.before[lab.guests[number].name] = found(number, lab)
                }
            }
            for record in watch.records {
                if let holder = machines.first(where: { speaks($0, record.role) }) {
                    rehearsal.holders[record.name] = holder.name
                }
            }
            rehearsal.leaderBefore = leaderName
            for group in groups {
                for happening in group {
                    saw(.befell(happening))
                    perform(happening)
                }
                let began = now
                let rests = comeToRest(calm: calm, within: bound)
                rehearsal.restedAt = rests ? now - calm - planBegan : nil
                if truth.violation != nil || now - began >= bound && !rests { break }
            }
        }
        watchAll()
        rehearsal.state = newestState
        finish()
        rehearsal.result = result
        rehearsal.leader = leaderName
        rehearsal.wasCancelled = isCancelled()
        return rehearsal
    }
}
