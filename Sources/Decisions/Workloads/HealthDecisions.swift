// What is done about a workload that runs and fails its health check: it is restarted where it is, then moved, as often as
// its budget allows, with a pause that doubles each time; then it is left as it is, and says why.
//
//     fails ──▶ restart ──grace──▶ restart ──2×grace──▶ move ──4×grace──▶ left as it is, Degraded
//       ▲                                                                        │
//       └───────────── well for as long as the budget says ◀── well ◀────────────┘
//
// Relies on the host's word in the replicated state, and on how long the leader has seen it stand. A new leader counts from
// the beginning, so that it may be later than the old one, never earlier.
//
// Nothing is started because of a health check. One is only ever ended where it belongs and was seen to run by a host that is
// there and under no fence, and then started by that host like any other that belongs to it; or it is moved as for any other
// reason. Nor is one ended that its host could not start again.
// Does not: judge the health, which the check does; and not act on one that does not run, which its host does.

import Cluster
import Consensus
import Kinds

public enum HealthDecisions {
    /// What a workload's health is counted by: as long as this is the same, time adds up.
    public struct Spell: Hashable, Sendable {
        public var isWell: Bool
        public var epoch: UInt64
        public var steps: Int
    }

    /// The present spell of a workload whose time matters; nil: there is nothing to wait for.
    public static func spell(of placement: Placement) -> Spell? {
        guard !placement.care.isRestarting, let isWell = placement.isHealthy, !isWell || placement.care.steps > 0 else {
            return nil
        }
        return Spell(isWell: isWell, epoch: placement.epoch, steps: placement.care.steps)
    }

    /// How long the present spell has to last for the next step. No decision asks for more.
    public static func pause(_ placement: Placement, _ spec: WorkloadSpec) -> Interval {
        guard let tending = spec.tending else { return .zero }
        if placement.isHealthy == true { return spec.budget.per }
        let steps = placement.care.steps
        // It was well where it is: that it fails now has nothing to do with its start.
        if steps == 0 { return placement.care.wasWell ? .zero : tending.grace }
        let most = max(spec.budget.per, tending.grace)
        var pause = tending.grace
        for _ in 1..<max(steps, 1) where pause < most { pause = pause * 2 }
        return min(pause, most)
    }
}

extension Planning {
    /// - Returns: whether it runs and is not well, so that what is said of it stands.
    mutating func tend(
        _ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement, on host: String
    ) -> Bool {
        guard spec.tending?.acts == true, shallRun(workload, placement),
            let spell = HealthDecisions.spell(of: placement)
        else { return false }
        let care = placement.care
        // What its host said last it said before it could look no more, and it carries nothing out.
        guard !isBlind(host) else { return !spell.isWell }
        guard let length = view.healthFor[workload], length >= HealthDecisions.pause(placement, spec) else {
            return !spell.isWell
        }
        if spell.isWell {
            let words = "for \(length.milliseconds / 1_000) s, so its budget begins anew"
            commands.append(.care(workload, epoch: placement.epoch, .end, reason: words))
            return false
        }
        // What is ended now could not be started again, here or elsewhere, before it is known what a failed move has left.
        if let holder = holders(of: placement, spec, besides: host).first {
            block(workload, placement, "its health check fails, and it is not restarted: \(mayHold(holder, placement))")
            return true
        }
        // What may have come here unseen is not touched, nor is anything ended that could not be started again.
        guard !placement.isUnseen(on: host) else { return true }
        let fails = "its health check fails"
        if care.restarts < UInt64(spec.budget.restarts) {
            guard wouldStart(spec, on: host) else { return true }
            let reason = care.steps == 0 ? fails : "\(fails) still"
            commands.append(.care(workload, epoch: placement.epoch, .restart, reason: reason))
            return true
        }
        let done = "\(fails), \(words(for: care))"
        guard care.left.count < Int(spec.budget.moves) else {
            block(
                workload, placement,
                "\(done), which is its budget; it is left as it is until it is well or a person says so")
            return true
        }
        guard specs.storage(of: spec) != .local else {
            block(workload, placement, "\(done), and its disks are on \(host)")
            return true
        }
        var others = placer
        others.withdraw(workload)
        let unable = state.hosts.pairs.filter { !$0.1.facts.isQuorate }.map(\.0)
        switch others.best(for: workload, excluding: [host] + placement.passedOver + care.left + unable) {
        case .host(let target):
            guard hasRoomToMove(host, target) else { return true }
            countMove(host, target)
            let reason = "\(done) on \(host)"
            commands.append(.care(workload, epoch: placement.epoch, .move(to: target), reason: reason))
            placer.settle(workload, on: target, leaving: false)
        case .none(let why): block(workload, placement, "\(done): \(why)")
        }
        return true
    }

    /// Whether its host would start it again: one that serves badly is better than none.
    private func wouldStart(_ spec: WorkloadSpec, on host: String) -> Bool {
        guard let facts = state.hosts.look(host, { $0.facts }), facts.isQuorate else { return false }
        let needsWatchdog =
            specs.storage(of: spec) == .shared && specs.methods(for: spec).contains(.watchdog)
            && facts.watchdogMilliseconds > 0
        return !needsWatchdog || facts.isGuarded
    }

    private func words(for care: Care) -> String {
        var parts: [String] = []
        if care.restarts > 0 { parts.append("restarted \(times(Int(clamping: care.restarts)))") }
        if !care.left.isEmpty { parts.append("moved \(times(care.left.count))") }
        return parts.isEmpty ? "and it has no restart to be given" : parts.joined(separator: " and ")
    }

    private func times(_ number: Int) -> String { number == 1 ? "once" : "\(number) times" }
}
