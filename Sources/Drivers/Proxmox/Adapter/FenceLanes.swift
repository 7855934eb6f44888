// Orders about one host's fence, one after the other. What waits is dropped once a newer fence was ordered: nobody wants it
// any more, and an old lifting least of all.

import Consensus
import Kinds

/// What stands before each host's fence. A value; whoever has it carries the orders out.
struct FenceLanes: Sendable {
    /// The first is under way.
    private var lanes: SortedMap<String, [FenceOrder]> = [:]

    /// - Returns: whether nothing is under way for the host yet: begin with `next`.
    mutating func admit(_ order: FenceOrder) -> Bool {
        guard var lane = lanes[order.host] else {
            lanes[order.host] = [order]
            return true
        }
        guard !lane.contains(order) else { return false }
        lane = lane.prefix(1) + lane.dropFirst().filter { $0.epoch >= order.epoch }
        // One that is older than what is known here is too late already.
        if lane.allSatisfy({ $0.epoch <= order.epoch }) { lane.append(order) }
        lanes[order.host] = lane
        return false
    }

    /// nil: there is none, and the lane has ended.
    mutating func next(_ host: String) -> FenceOrder? {
        guard let first = lanes[host]?.first else {
            lanes[host] = nil
            return nil
        }
        return first
    }

    /// The first order has ended.
    mutating func ended(_ host: String) { _ = lanes.update(host) { $0.removeFirst() } }
}
