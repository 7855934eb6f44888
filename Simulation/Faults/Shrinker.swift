// Makes a failing plan small: leaves out faults, machines' quirks and time for as long as the same promise is broken
// (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002).

import SimulationWorld

public struct Shrinker {
    /// The smallest plan found so far, and what it violates.
    public private(set) var plan: Plan
    public private(set) var violation: Violation
    /// Runs tried.
    public private(set) var tries = 0
    private let mostTries: Int

    /// - Parameter violation: what `plan` is known to violate.
    public init(_ plan: Plan, _ violation: Violation, mostTries: Int = 400) {
        self.plan = plan
        self.violation = violation
        self.mostTries = mostTries
    }

    /// Shrinks until nothing more can be left out, or the tries are used up.
    public mutating func run() {
        cutAfterwards()
        while tries < mostTries {
            let before = plan
            dropMoments()
            simplify()
            if plan == before { break }
        }
    }

    /// Tries a smaller plan, and keeps it when it fails in the same way.
    private mutating func attempt(_ smaller: Plan) -> Bool {
        guard tries < mostTries, smaller != plan else { return false }
        tries += 1
        let result = World(smaller).run()
        guard let found = result.violations.first, found.invariant == violation.invariant else { return false }
        plan = smaller
        violation = found
        return true
    }

    /// What comes after the violation has no part in it.
    private mutating func cutAfterwards() {
        guard violation.at < plan.length else { return }
        var smaller = plan
        smaller.length = violation.at + 1
        smaller.timeline.removeAll { $0.at > violation.at }
        smaller.healsWithin = nil
        _ = attempt(smaller)
    }

    private mutating func dropMoments() {
        var size = max(plan.timeline.count / 2, 1)
        while true {
            var start = 0
            while start < plan.timeline.count, tries < mostTries {
                var smaller = plan
                smaller.timeline.removeSubrange(start..<min(start + size, smaller.timeline.count))
                if !attempt(smaller) { start += size }
            }
            if size == 1 { return }
            size /= 2
        }
    }

    private mutating func simplify() {
        let changes: [(inout Plan) -> Void] = [
            { $0.conditions.loss = 0 }, { $0.conditions.copies = 0 }, { $0.conditions.late = 0 },
            { $0.conditions.snapshotEvery = Plan.Conditions().snapshotEvery },
            { $0.conditions.snapshotChunk = Plan.Conditions().snapshotChunk },
            { $0.conditions.delay = Plan.Conditions().delay },
            { $0.conditions.diskLatency = Plan.Conditions().diskLatency },
            { $0.clients.count = 0 }, { $0.clients.count = min($0.clients.count, 1) },
            { plan in for index in plan.members.indices { plan.members[index].driftPartsPerMillion = 0 } },
            { plan in for index in plan.addresses.indices { plan.addresses[index].preempt = "never" } },
            { $0.addresses.removeLast($0.addresses.isEmpty ? 0 : 1) },
            { plan in
                guard let last = plan.members.last, last.kind == .guest else { return }
                let isNamed = plan.timeline.contains { "\($0.action)".contains(last.name) }
                if !isNamed { plan.members.removeLast() }
            },
        ]
        for change in changes {
            var smaller = plan
            change(&smaller)
            _ = attempt(smaller)
        }
        cutAfterwards()
    }
}
