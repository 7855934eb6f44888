// When a lost host is fenced, by what, and through whom. Nothing is fenced for its own sake: only when a guest of the host
// can then be started elsewhere. A host that is cut off while nobody could take over goes on with its guests.

import Cluster
import Consensus
import Kinds

public enum FenceDecisions {
    /// A host that comes and goes for so long, and is away now, counts as lost.
    public static let mostUnsteady = Interval.seconds(30)
    /// A host that has been there for so long without a break has stopped coming and going.
    public static let steadyAgain = Interval.seconds(10)
    /// A host that went to be restarted by order and is away for so long does not come up by itself, and counts as lost. Large
    /// servers take five to ten minutes from going down to their agent, most of them in their firmware; one with a file system
    /// to check takes longer, and loses nothing by it but that its guests run elsewhere when it is back. A new leader counts
    /// from the beginning.
    public static let longestRestart = Interval.seconds(900)
    /// Who fails so often to lift a fence is relieved: what hinders it will not pass by itself.
    public static let mostLiftFailures: UInt64 = 3

    /// The commands this leader should propose now. Deterministic in its inputs.
    public static func decide(state: ClusterState, specs: WorkloadSpecs, view: LeaderView) -> [WorkloadCommand] {
        state.hosts.pairs.compactMap { name, host in
            guard let member = state.member(named: name), let standing = view.standings[member.id] else { return nil }
            return HostSituation(
                name: name, host: host, member: member, standing: standing, state: state, specs: specs, view: view
            ).decide()
        }
    }

    /// Whether a host has gone to be restarted by order, and has been away for longer than that takes.
    static func isOverdue(_ host: HostRecord, _ standing: LeaderView.Standing, _ specs: WorkloadSpecs) -> Bool {
        host.restart?.hasBegun == true && standing.lostFor >= max(longestRestart, specs.policy.after)
    }

    /// Why no fence of this host could let a workload be started elsewhere; nil: one could.
    static func obstacle(
        to spec: WorkloadSpec, on host: String, specs: WorkloadSpecs, state: ClusterState
    ) -> String? {
        if specs.storage(of: spec) == .local { return "its disks are there" }
        guard state.hosts.contains(host) else { return "nothing is known of that host" }
        let methods = specs.methods(for: spec)
        if methods.isEmpty { return "no method of its FencePolicy keeps a lost host from its disks" }
        if methods.contains(where: { isAtHand($0, on: host, state, specs) }) { return nil }
        let why = methods.map { method in
            switch method {
            case .cephBlocklist: state.objectionToBlocklist(of: host) ?? "its storage cannot keep it out"
            case .watchdog: "it had no watchdog armed"
            case .power: "no command cuts its power"
            case .word: "nobody has said that it is off"
            }
        }
        return why.joined(separator: ", ") + "; if it is off, say so: holdfast fence \(host) --i-verified-it-is-off"
    }

    /// Whether a method can be used on a host at all.
    static func isAtHand(
        _ method: FenceMethod, on host: String, _ state: ClusterState, _ specs: WorkloadSpecs
    ) -> Bool {
        guard let facts = state.hosts.look(host, { $0.facts }) else { return false }
        return switch method {
        case .cephBlocklist: state.objectionToBlocklist(of: host) == nil
        case .watchdog: facts.isGuarded && facts.watchdogMilliseconds > 0
        case .power: !specs.policy.powerCommand.isEmpty
        case .word: false
        }
    }
}

private struct HostSituation {
    let name: String
    let host: HostRecord
    let member: MemberRecord
    let standing: LeaderView.Standing
    let state: ClusterState
    let specs: WorkloadSpecs
    let view: LeaderView

    func decide() -> WorkloadCommand? {
        if view.overdue.contains(name), let worker = host.worker {
            return .fenceFailed(
                name, epoch: host.fenceEpoch,
                reason: "\(state.name(of: worker)) has not said in time what came of its order")
        }
        return switch host.fence {
        case .none: begin()
        case .wanted(let method, let executor): goOn(method, executor)
        // The host itself says when it is clean.
        case .proven: prove()
        case .clean: lift(by: host.ordered)
        case .lifting(_, let present), .withdrawn(_, let present):
            host.isOrdered(besides: present) ? lift(by: [present] + host.ordered) : hand(from: present)
        }
    }

    /// An entry that is made after it was taken away would bar the host for ever, and no fence would be open that anybody
    /// could lift. So it is taken away only when nobody else can make it any more: by one of those who were ordered to, if one
    /// is there, since his own orders come one after another.
    private func lift(by preferred: [MemberID]) -> WorkloadCommand? {
        guard let next = preferred.first(where: lifters.contains) ?? lifters.first else { return nil }
        let finished = view.finished[name] ?? []
        guard host.ordered.allSatisfy({ $0 == next || finished.contains($0) || isCertainlyDone($0) }) else {
            return nil
        }
        return .liftFence(name, epoch: host.fenceEpoch, by: next)
    }

    /// To take an entry away has time, and must not come late: it would open a newer fence. So another member is asked only
    /// when nothing can come of the first one's order any more. One that is there and fails is relieved of it first.
    private func hand(from present: MemberID) -> WorkloadCommand? {
        let others = lifters.filter { $0 != present }
        guard !others.isEmpty else { return nil }
        if isCertainlyDone(present) { return .liftFence(name, epoch: host.fenceEpoch, by: others[0]) }
        guard host.failuresOfOrder >= FenceDecisions.mostLiftFailures else { return nil }
        let place = lifters.firstIndex(of: present).map { ($0 + 1) % lifters.count } ?? 0
        return .handLift(name, epoch: host.fenceEpoch, to: lifters[place])
    }

    private func isCertainlyDone(_ member: MemberID) -> Bool {
        guard let standing = view.standings[member] else {
            // It was removed, and may have been given its order the moment before.
            return !host.ordered.contains(member) || (view.finished[name] ?? []).contains(member)
        }
        return !standing.reachable && standing.leaseIsCertainlyOver && standing.lostFor >= FenceOrder.certainlyOver
    }

    private var isThere: Bool { member.reachable && standing.reachable }

    /// Lost, as everybody has been told, and for long enough: at a stretch, or again and again. An agent that ends whenever
    /// it has begun manages no guests either.
    private var isLost: Bool {
        !member.reachable && !standing.reachable && standing.leaseIsCertainlyOver && !member.stopping
            && (max(standing.lostFor, standing.silentFor) >= specs.policy.after
                || standing.unsteadyFor >= FenceDecisions.mostUnsteady)
            || hasNotComeUp
    }

    /// It went by its own word, to come back, and hangs on the way.
    private var hasNotComeUp: Bool {
        !member.reachable && !standing.reachable && standing.leaseIsCertainlyOver
            && FenceDecisions.isOverdue(host, standing, specs)
    }

    private func begin() -> WorkloadCommand? {
        guard isLost, state.disarmed == nil, let way = ways(for: recoverable).first else { return nil }
        return .beginFence(
            name, epoch: host.fenceEpoch, way.method, by: way.member,
            reason: "it is lost, and its guests can be started elsewhere")
    }

    private func goOn(_ method: FenceMethod, _ executor: MemberID) -> WorkloadCommand? {
        // Disarmed meanwhile: what has been ordered goes through, and nothing more is tried.
        if isThere || state.disarmed != nil { return spare(method, executor) }
        if method == .watchdog, let proof = proofByWatchdog { return proof }
        guard let next = next(of: ways(for: recoverable), after: FenceTask(method, by: executor)) else { return nil }
        return .beginFence(
            name, epoch: host.fenceEpoch, next.method, by: next.member,
            reason: host.attempts.last ?? "the way before failed")
    }

    /// What is proven need not suffice for all that is there: other disks want another proof, and so does what may have come
    /// there after it.
    private func prove() -> WorkloadCommand? {
        guard !isThere, isLost, state.disarmed == nil else { return nil }
        if host.further?.method == .watchdog, let proof = proofByWatchdog { return proof }
        let blocked = recoverable.filter { guest in
            !specs.isProven(that: name, lostItsHoldOn: guest.placement, guest.spec, in: state)
        }
        guard let next = next(of: ways(for: blocked), after: host.further) else { return nil }
        return .beginFence(
            name, epoch: host.fenceEpoch, next.method, by: next.member,
            reason: "what is proven does not suffice for all of its guests")
    }

    /// Nil until enough time has passed, and when it has said since that its watchdog is disarmed.
    private var proofByWatchdog: WorkloadCommand? {
        guard FenceDecisions.isAtHand(.watchdog, on: name, state, specs) else { return nil }
        let needed = Interval.milliseconds(host.facts.watchdogMilliseconds) + specs.policy.watchdogMargin
        guard !member.reachable, standing.leaseIsCertainlyOver, standing.lostFor >= needed else { return nil }
        return .fenceProven(
            name, epoch: host.fenceEpoch, .watchdog,
            proof: "its watchdog has not been fed for \(needed.milliseconds / 1_000) s, and resets it within less")
    }

    /// After each failure the next way, and again from the first. Nil: the present one goes on, also when another would be the
    /// first by now: what is under way may be about to succeed.
    private func next(of ways: [FenceTask], after present: FenceTask?) -> FenceTask? {
        guard !ways.isEmpty else { return nil }
        let next = ways[Int(host.failures % UInt64(ways.count))]
        guard let present else { return next }
        if host.failuresOfOrder > 0 { return next == present ? nil : next }
        let sameMethod = ways.first { $0.method == present.method }
        // Nobody is at anything while a watchdog is waited for.
        if present.method == .watchdog || sameMethod == nil { return next.method == present.method ? nil : next }
        return view.isReachable(present.member) ? nil : sameMethod
    }

    /// The host is there again and holds its lease, before anything was proven, or no host is to be fenced. What its executor is at goes through, since
    /// nobody can stop it. What has failed is not tried again: the guests are well where they are, and would lose their disks
    /// for nothing. An executor that is lost itself is replaced by one that finds the host there, and says that it has failed.
    private func spare(_ method: FenceMethod, _ present: MemberID) -> WorkloadCommand? {
        if method == .watchdog || host.failures > 0 { return .cancelFence(name, epoch: host.fenceEpoch) }
        guard isCertainlyDone(present), let next = able.first, next != present else { return nil }
        return .beginFence(
            name, epoch: host.fenceEpoch, method, by: next, reason: "\(state.name(of: present)) is lost as well")
    }

    /// In the order in which they are tried: methods that suffice for all guests that could be recovered before those that
    /// suffice for some, each through everybody who can carry it out. Empty: nothing could be gained.
    private func ways(for guests: [Guest]) -> [FenceTask] {
        guard !guests.isEmpty else { return [] }
        let methods = FenceMethod.allCases.filter { method in
            FenceDecisions.isAtHand(method, on: name, state, specs) && guests.contains { $0.methods.contains(method) }
        }
        let ranked = methods.map { method in
            (
                method: method, missed: guests.filter { !$0.methods.contains(method) }.count,
                place: guests.compactMap { $0.methods.firstIndex(of: method) }.min() ?? 0
            )
        }
        let ordered = ranked.sorted { ($0.missed, $0.place) < ($1.missed, $1.place) }.map { $0.method }
        // A method that fails for one may succeed for another; the time of a watchdog goes by whoever waits for it.
        return able.enumerated().flatMap { place, member in
            ordered.filter { place == 0 || $0 != .watchdog }.map { FenceTask($0, by: member) }
        }
    }

    private struct Guest {
        var spec: WorkloadSpec
        var placement: Placement
        /// In order, those that could be a proof about it.
        var methods: [FenceMethod]
    }

    /// Guests of this host that shall run, and that another host could run once this one is fenced.
    private var recoverable: [Guest] {
        let placer = Placer(state: state, specs: specs) { view.isReachable($0) }
        return state.placements.pairs.compactMap { workload, placement in
            // One that stayed where it was when its move here failed, and does not run there, waits for a word of this host;
            // also when the host that it stayed on is lost. And so does one of which a process was seen here last.
            let isLost = placement.host.map { state.hosts[$0]?.fence.isProven == true } ?? false
            // Where it runs and is well nobody waits for anything.
            let isLeftover = placement.leftovers.contains(name)
            let isSeen = !placement.hosts.contains(name) && placement.sighting(on: name)?.mayWrite == true
            guard let spec = specs.workloads[workload], specs.shallRun(workload, placement) == true else { return nil }
            let waits = !serves(workload, placement, spec, placer) && couldStart(workload, placement, spec, placer)
            let isLeft = (isLeftover || isSeen) && (isLost || waits)
            guard placement.hosts.contains(name) || isLeft,
                case let methods = specs.methods(for: spec).filter({
                    $0 != .watchdog || !(isLeftover || placement.isUnseen(on: name))
                }), !methods.isEmpty, isLeft && !isLost || placer.best(for: workload, excluding: [name]).host != nil
            else { return nil }
            return Guest(spec: spec, placement: placement, methods: methods)
        }
    }

    /// Whether it runs where it belongs, and nothing is to be done about it yet.
    private func serves(
        _ workload: ResourceKey, _ placement: Placement, _ spec: WorkloadSpec, _ placer: Placer
    ) -> Bool {
        guard let host = placement.host, placement.sighting(on: host) == .running, !placement.care.isRestarting else {
            return false
        }
        guard spec.tending?.acts == true, let spell = HealthDecisions.spell(of: placement), !spell.isWell,
            let length = view.healthFor[workload], length >= HealthDecisions.pause(placement, spec)
        else { return true }
        if placement.care.restarts < UInt64(spec.budget.restarts) { return false }
        return !canMove(workload, placement, spec, from: host, placement.care.left, placer)
    }

    /// Whether the host that it belongs on is there to start it, or to hand it on where it has failed too often.
    private func couldStart(
        _ workload: ResourceKey, _ placement: Placement, _ spec: WorkloadSpec, _ placer: Placer
    ) -> Bool {
        guard let name = placement.host, let member = state.member(named: name), let host = state.hosts[name] else {
            return false
        }
        guard view.isReachable(member.id), !member.stopping, host.fence.isNone, host.facts.isBlind != true else {
            return false
        }
        if let leaving = host.leaving {
            return WorkloadPolicy.leaves(spec, leaving)
                && canMove(workload, placement, spec, from: name, placement.passedOver, placer)
        }
        if placement.failures <= UInt64(spec.budget.restarts) { return true }
        return canMove(workload, placement, spec, from: name, placement.passedOver, placer)
    }

    /// Whether there is still a third host for it.
    private func canMove(
        _ workload: ResourceKey, _ placement: Placement, _ spec: WorkloadSpec, from host: String,
        _ tried: [String], _ placer: Placer
    ) -> Bool {
        tried.count < Int(spec.budget.moves) && specs.storage(of: spec) != .local
            && placer.best(for: workload, excluding: [name, host] + placement.passedOver + tried).host != nil
    }

    /// Who can carry a fence out, in the order in which they are asked: hosts that are there and not fenced themselves, the
    /// leader first if it is one. One that cannot look at its guests may lack whatever else it needs, and is asked only when
    /// there is no other.
    private var able: [MemberID] {
        var (seeing, blind): ([MemberID], [MemberID]) = ([], [])
        for (other, record) in state.hosts.pairs where other != name && record.fence.isNone {
            guard let member = state.member(named: other), view.isReachable(member.id), !member.stopping else {
                continue
            }
            if record.facts.isBlind == true { blind.append(member.id) } else { seeing.append(member.id) }
        }
        let chosen = seeing.isEmpty ? blind : seeing
        return chosen.filter { $0 == view.leader } + chosen.filter { $0 != view.leader }
    }

    /// Who can lift a fence: also the host itself when it is back, as the last one. Its own entry keeps it from the disks, not
    /// from the monitors; and where every other host is gone nobody else could let it in.
    private var lifters: [MemberID] { able + (isThere && !member.stopping ? [member.id] : []) }
}
