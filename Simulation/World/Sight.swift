// What an onlooker tells of a rehearsal: the turns of a story that people look for, on ground truth or by the cluster's own
// events. Nothing in the world depends on whether anybody looks.

import Cluster
import Consensus

/// One thing worth telling, when it happens.
public enum Sight: Hashable, Sendable {
    /// A happening of the plan.
    case befell(Happening)
    /// A member leads.
    case leads(String)
    /// The cluster recorded an event.
    case event(ClusterEvent)
    /// A machine answers for an address under a new epoch.
    case answers(ResourceKey, String)
    /// A host's agent has ordered the start of a workload.
    case startOrdered(ResourceKey, String)
    /// A workload runs on a host: its process is there and has its disks.
    case runs(ResourceKey, String)
    /// Its process on a host has ended.
    case ends(ResourceKey, String)
    /// A host was reset, and why.
    case reset(String, String)
}

extension World {
    func saw(_ sight: @autoclosure () -> Sight) { witness?(now - planBegan, sight()) }
}
