// Where each workload should be, decided by the leader: found where it is, recovered from a fenced host, moved off one that
// is drained or goes down, moved where a person or a rule wants it, tried elsewhere when it will not start.
//
// The one rule that must never be bent: a workload is given to another host only when its old one has said that it has
// nothing of it any more, or is proven to be unable to write.

import Cluster
import Consensus
import Kinds

public enum PlacementDecisions {
    /// How long a host must have been well before a workload goes back to it.
    public static let steadyBeforeFailback = Interval.seconds(5)
    /// Moves off one host, or onto one, at the same time: each takes a share of the network.
    public static let mostMovesOfAHost = 4

    /// The commands this leader should propose now. Deterministic in its inputs.
    public static func decide(state: ClusterState, specs: WorkloadSpecs, view: LeaderView) -> [WorkloadCommand] {
        guard !state.placements.isEmpty, !state.hosts.isEmpty else { return [] }
        var planning = Planning(state: state, specs: specs, view: view)
        // The most important first, for memory may not suffice for all.
        let order = specs.workloads.pairs.sorted { ($1.1.priority, $0.0) < ($0.1.priority, $1.0) }
        for (workload, spec) in order {
            guard let placement = state.placements[workload] else { continue }
            planning.decide(workload, spec, placement)
        }
        return planning.commands
    }
}

struct Planning {
    let state: ClusterState
    let specs: WorkloadSpecs
    let view: LeaderView
    var placer: Placer
    var commands: [WorkloadCommand] = []
    /// Moves under way, by the host that takes part.
    var moves: SortedMap<String, Int> = [:]

    init(state: ClusterState, specs: WorkloadSpecs, view: LeaderView) {
        self.state = state
        self.specs = specs
        self.view = view
        placer = Placer(state: state, specs: specs) { view.isReachable($0) }
        for placement in state.placements.values {
            // One that its host cannot look at stands still, and takes no share.
            if case .moving(let from, let to, _) = placement.phase, !isBlind(from) { countMove(from, to) }
        }
    }

    mutating func countMove(_ from: String, _ to: String) {
        moves[from] = (moves[from] ?? 0) + 1
        moves[to] = (moves[to] ?? 0) + 1
    }

    mutating func decide(_ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement) {
        guard spec.desired != .ignored else { return }
        switch placement.phase {
        case .nowhere: findOrCreate(workload, spec, placement)
        case .on(let host):
            if state.hosts[host]?.fence.isProven == true {
                recover(workload, spec, placement, from: host)
            } else if isThere(host) {
                if state.hosts[host]?.fence.isNone == true { keepOrMove(workload, spec, placement, on: host) }
            } else {
                tellLoss(workload, spec, placement, of: host)
            }
        case .moving(let from, let to, _):
            guard state.hosts[from]?.fence.isProven == true else {
                guard isThere(from) else { return tellLoss(workload, spec, placement, of: from) }
                return tellStandstill(workload, placement, of: from)
            }
            // It may be on either, so neither may be able to write.
            if state.hosts[to]?.fence.isProven == true {
                recover(workload, spec, placement, from: from, to)
            } else if !isThere(to) {
                tellLoss(workload, spec, placement, of: to)
            } else if placement.sighting(on: to) == .running, state.hosts[to]?.fence.isNone == true {
                place(workload, placement, on: to, "it had arrived when \(from) was lost", because: from)
            } else if [.absent, .stopped].contains(placement.sighting(on: to)) {
                recover(workload, spec, placement, from: from)
            } else {
                arrive(workload, spec, placement, from: from, at: to)
            }
        }
    }

    /// Its old host was lost in the midst of a live move. The process that was to take it over is waiting there, and may go on
    /// doing so for hours; only the host that it is on can end it, once the workload belongs there.
    private mutating func arrive(
        _ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement, from: String, at to: String
    ) {
        guard state.disarmed == nil, shallRun(workload, placement), state.hosts[to]?.fence.isNone == true else {
            return
        }
        guard placement.sighting(on: to) == .stuck else {
            return block(workload, placement, "\(from) was lost, and \(to) has not said yet what has come there")
        }
        if let objection = objection(toTaking: placement, spec, from: from) {
            return block(workload, placement, objection)
        }
        place(workload, placement, on: to, "it was on its way there when \(from) was lost", because: from)
    }

    func shallRun(_ workload: ResourceKey, _ placement: Placement) -> Bool {
        specs.shallRun(workload, placement) == true
    }

    // MARK: One that has no place

    /// It is given to whoever has it. Only when every host has said that it has nothing is it a new one; and what does not run
    /// where it was found may run elsewhere without its configuration.
    private mutating func findOrCreate(_ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement) {
        let found = placement.sightings.pairs.filter { $0.1.state != .absent && state.hosts.contains($0.0) }
        let first = found.first { $0.1.state == .running } ?? found.first { $0.1.state == .stuck } ?? found.first
        if let first {
            guard state.hosts[first.0]?.fence.isNone == true else {
                guard shallRun(workload, placement) else { return }
                return block(workload, placement, foundUnderFence(on: first.0))
            }
            let running = found.filter { $0.1.state == .running }.map(\.0)
            if running.count > 1 {
                return block(
                    workload, placement,
                    "\(running.joined(separator: " and ")) both have it running; stop one of them by hand")
            }
            // Also of one that is to stay stopped: nobody asks any more when it is to be started.
            if running.isEmpty, let silent = firstToHear(placement, besides: { isProvenAway($0, placement, spec) }) {
                return block(workload, placement, silence(of: silent))
            }
            // Where processes of it are on several hosts, and run nowhere, somebody has to be the one that it belongs to: that one
            // ends its own, the others end theirs then, and it is started when all have ended.
            return give(workload, placement, to: first.0, "it was found there", because: nil)
        }
        guard shallRun(workload, placement) else { return }
        if let silent = firstToHear(placement) { return block(workload, placement, silence(of: silent)) }
        switch placer.best(for: workload, excluding: []) {
        case .host(let host): place(workload, placement, on: host, "it is new", because: nil)
        case .none(let why): block(workload, placement, why)
        }
    }

    /// A host that may have it and has said nothing of it.
    /// - Parameter isSettled: whether nobody has to be asked about a host.
    private func firstToHear(_ placement: Placement, besides isSettled: (String) -> Bool = { _ in false }) -> String? {
        state.hostsToHear.first { placement.sighting(on: $0) == nil && !isSettled($0) }
    }

    private func isProvenAway(_ host: String, _ placement: Placement, _ spec: WorkloadSpec) -> Bool {
        // One that is back speaks for itself.
        state.isProvenAway(host) && specs.isProven(that: host, lostItsHoldOn: placement, spec, in: state)
    }

    // MARK: One whose host is lost

    private mutating func recover(
        _ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement, from host: String, _ other: String? = nil
    ) {
        guard state.disarmed == nil, shallRun(workload, placement) else { return }
        guard specs.storage(of: spec) != .local else {
            return block(workload, placement, "\(host) is lost, and its disks are there")
        }
        for lost in [host] + (other.map { [$0] } ?? []) {
            if let objection = objection(toTaking: placement, spec, from: lost) {
                return block(workload, placement, objection)
            }
        }
        let left = holders(of: placement, spec, besides: host, other)
        if let first = left.first {
            // Where it runs it is. Elsewhere the agent of its host ends what is there before it starts anything.
            guard left.count == 1, runs(placement, on: first) || placer.objection(to: workload, on: first) == nil else {
                return block(workload, placement, "\(host) was lost: \(mayHold(first, placement))")
            }
            return place(workload, placement, on: first, "\(host) was lost", because: host)
        }
        // Where it could not go once it may go now: with its host lost, that is better than nowhere.
        let untried = placer.best(for: workload, excluding: [host] + placement.passedOver)
        switch untried.host == nil ? placer.best(for: workload, excluding: [host]) : untried {
        case .host(let target): place(workload, placement, on: target, "\(host) was lost", because: host)
        case .none(let why): block(workload, placement, "\(host) was lost: \(why)")
        }
    }

    private func runs(_ placement: Placement, on host: String) -> Bool {
        placement.sighting(on: host) == .running && isThere(host) && !isBlind(host)
            && state.hosts[host]?.fence.isNone == true
    }

    /// Where else it may run, by a move that failed or by what was said last.
    func holders(of placement: Placement, _ spec: WorkloadSpec, besides host: String, _ other: String? = nil)
        -> [String]
    {
        state.holders(of: placement, besides: host) { specs.suffices($0, for: spec) }.filter { $0 != other }
    }

    /// Why the fence of a host does not let one that is there, or may be, be started elsewhere; nil: it does.
    private func objection(toTaking placement: Placement, _ spec: WorkloadSpec, from host: String) -> String? {
        if specs.isProven(that: host, lostItsHoldOn: placement, spec, in: state) { return nil }
        let methods = (state.hosts[host]?.proofs ?? []).map(\.method.rawValue).joined(separator: " and ")
        let why =
            state.proofs(that: host, lostItsHoldOn: placement).isEmpty
            ? "it was on its way there, and may have come there later" : "that does not keep \(host) from its disks"
        return
            "\(host) is fenced by \(methods), and \(why); if \(host) is off, say so: holdfast fence \(host) --i-verified-it-is-off"
    }

    // MARK: One whose host is there

    private mutating func keepOrMove(
        _ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement, on host: String
    ) {
        if placement.isDeclined {
            if state.disarmed == nil, adoptIfMovedByHand(workload, placement, from: host) { return }
            return placeAnew(workload, spec, placement, insteadOf: host)
        }
        guard state.disarmed == nil else { return }
        if adoptIfMovedByHand(workload, placement, from: host) { return }
        let isRunning = placement.sighting(on: host) == .running
        if !isRunning, shallRun(workload, placement), let holder = holders(of: placement, spec, besides: host).first {
            return block(workload, placement, mayHold(holder, placement))
        }
        let live = spec.migratesLive && isRunning
        guard shallRun(workload, placement) || isRunning || !placement.wish.isEmpty else { return }
        if let leaving = state.hosts[host]?.leaving {
            guard WorkloadPolicy.leaves(spec, leaving) else { return }
            // Once its host can look again it would take any words for a reason to end it there.
            if isBlind(host) { return block(workload, placement, "") }
            let live = live && spec.onHostShutdown == .migrate
            return moveAway(workload, placement, from: host, live: live, "\(host) goes down")
        }
        if !placement.wish.isEmpty { return fulfil(workload, placement, on: host, live: live) }
        if state.hosts[host]?.isDraining == true {
            return moveAway(workload, placement, from: host, live: live, "\(host) is drained")
        }
        if placement.failures > UInt64(spec.budget.restarts) {
            let isGivenUp = placement.passedOver.count >= Int(spec.budget.moves)
            if !isGivenUp, moves(workload, placement, offFrom: host) { return }
            return block(
                workload, placement,
                "\(givenUp), and is not tried again before a person says so: \(placement.obstacle)",
                keeping: givenUp)
        }
        if let reason = reasonToLeave(workload, spec, on: host, placement) {
            return moveAway(workload, placement, from: host, live: live, reason)
        }
        if tend(workload, spec, placement, on: host) { return }
        if !placement.obstacle.isEmpty, isRunning { block(workload, placement, "") }
    }

    /// Its host cannot look at its guests, and has begun nothing for it.
    private mutating func placeAnew(
        _ workload: ResourceKey, _ spec: WorkloadSpec, _ placement: Placement, insteadOf host: String
    ) {
        if state.hosts[host]?.facts.isBlind != true {
            return place(workload, placement, on: host, "\(host) can look at its guests again", because: host)
        }
        guard state.disarmed == nil, shallRun(workload, placement), specs.storage(of: spec) != .local else { return }
        var others = placer
        others.withdraw(workload)
        switch others.best(for: workload, excluding: [host] + placement.passedOver) {
        case .host(let target):
            place(workload, placement, on: target, "\(host) cannot look at its guests", because: host)
        case .none(let why): block(workload, placement, "\(host) cannot look at its guests: \(why)")
        }
    }

    /// A person moved it behind our back: it is where it is.
    private mutating func adoptIfMovedByHand(
        _ workload: ResourceKey, _ placement: Placement, from host: String
    ) -> Bool {
        let here = placement.sighting(on: host)
        guard here == .absent || here == .stopped else { return false }
        let found = placement.sightings.pairs.filter { name, sighting in
            // One that was to be taken over from there: its host may be at it, and hands it back when it is not.
            guard name != host, !placement.sources.contains(name), state.hosts[name]?.fence.isNone == true,
                isThere(name)
            else { return false }
            // Or the move of it failed after it had come.
            guard here == .absent else { return sighting.state == .running && placement.leftovers.contains(name) }
            return sighting.state == .running || sighting.state == .stopped
        }
        guard let elsewhere = found.first(where: { $0.1.state == .running }) ?? found.first else { return false }
        place(workload, placement, on: elsewhere.0, "it was found there, and not on \(host)", because: nil)
        return true
    }

    private func reasonToLeave(
        _ workload: ResourceKey, _ spec: WorkloadSpec, on host: String, _ placement: Placement
    ) -> String? {
        var others = placer
        others.withdraw(workload)
        if let objection = others.breach(of: workload, on: host) { return objection }
        guard spec.failsBack, !isBlind(host),
            case .host(let best) = others.best(for: workload, excluding: placement.passedOver), best != host,
            isSteady(best)
        else { return nil }
        let (present, wanted) = (others.preference(of: workload, for: host), others.preference(of: workload, for: best))
        guard (present.rule, present.weight) < (wanted.rule, wanted.weight) else { return nil }
        return "\(best) is its better host, and is there again"
    }

    private func isSteady(_ host: String) -> Bool {
        guard let member = state.member(named: host) else { return false }
        return (view.standings[member.id]?.steadyFor ?? .zero) >= PlacementDecisions.steadyBeforeFailback
    }

    private mutating func moveAway(
        _ workload: ResourceKey, _ placement: Placement, from host: String, live: Bool, _ reason: String
    ) {
        if specs.workloads[workload].map({ specs.storage(of: $0) == .local }) ?? true {
            return block(workload, placement, "\(reason), and its disks are on \(host)")
        }
        var others = placer
        others.withdraw(workload)
        switch others.best(for: workload, excluding: [host] + placement.passedOver) {
        case .host(let target): move(workload, placement, from: host, to: target, live: live, reason)
        // That it could not be moved says more than that there is nowhere else.
        case .none(let why): block(workload, placement, "\(reason): \(why)", keeping: "it could not be moved to")
        }
    }

    private mutating func fulfil(
        _ workload: ResourceKey, _ placement: Placement, on host: String, live: Bool
    ) {
        let wish = placement.wish
        if wish == host { return commands.append(.dropWish(workload, reason: "it is there already")) }
        if specs.workloads[workload].map({ specs.storage(of: $0) == .local }) ?? true {
            return commands.append(.dropWish(workload, reason: "its disks are on \(host)"))
        }
        var others = placer
        others.withdraw(workload)
        if let objection = others.objection(to: workload, on: wish) {
            return commands.append(.dropWish(workload, reason: objection))
        }
        move(workload, placement, from: host, to: wish, live: live && placement.wishIsLive, "a person wanted it there")
    }

    private let givenUp = "it would not start"

    /// Tries it on another host, if there is one.
    private mutating func moves(_ workload: ResourceKey, _ placement: Placement, offFrom host: String) -> Bool {
        guard specs.workloads[workload].map({ specs.storage(of: $0) != .local }) ?? false else { return false }
        var others = placer
        others.withdraw(workload)
        guard case .host(let target) = others.best(for: workload, excluding: [host] + placement.passedOver) else {
            return false
        }
        move(workload, placement, from: host, to: target, live: false, "it would not start on \(host)")
        return true
    }

    // MARK: Commands

    private mutating func place(
        _ workload: ResourceKey, _ placement: Placement, on host: String, _ reason: String, because: String?
    ) {
        // Where it does not run it is about to be started; and wherever it does, what may be left of it is forgotten with this.
        let isRunning = runs(placement, on: host)
        let others = specs.workloads[workload].map { holders(of: placement, $0, besides: host) } ?? []
        if let holder = others.first(where: { !isRunning || placement.leftovers.contains($0) }) {
            return block(workload, placement, mayHold(holder, placement))
        }
        give(workload, placement, to: host, reason, because: because)
    }

    private mutating func give(
        _ workload: ResourceKey, _ placement: Placement, to host: String, _ reason: String, because: String?
    ) {
        commands.append(.place(workload, epoch: placement.epoch, on: host, reason: reason, because: because))
        placer.settle(workload, on: host, leaving: true)
    }

    private mutating func move(
        _ workload: ResourceKey, _ placement: Placement, from: String, to: String, live: Bool, _ reason: String
    ) {
        if isBlind(from) { return block(workload, placement, "\(reason); \(standstill(of: from))") }
        guard hasRoomToMove(from, to) else { return }
        // It would be stopped for it, and could not be started.
        if !live, placement.sighting(on: from) == .running, let spec = specs.workloads[workload],
            let holder = holders(of: placement, spec, besides: from).first
        {
            return block(workload, placement, mayHold(holder, placement))
        }
        countMove(from, to)
        commands.append(
            .move(workload, epoch: placement.epoch, to: to, live: live, reason: reason, because: from))
        placer.settle(workload, on: to, leaving: false)
    }

    /// The others wait their turn; the next decision comes when one of these has ended.
    func hasRoomToMove(_ from: String, _ to: String) -> Bool {
        (moves[from] ?? 0) < PlacementDecisions.mostMovesOfAHost
            && (moves[to] ?? 0) < PlacementDecisions.mostMovesOfAHost
    }

    mutating func block(
        _ workload: ResourceKey, _ placement: Placement, _ obstacle: String, keeping prefix: String? = nil
    ) {
        if let prefix, placement.obstacle.hasPrefix(prefix) { return }
        guard placement.obstacle != obstacle else { return }
        commands.append(.block(workload, epoch: placement.epoch, obstacle: obstacle))
    }
}

/// Questions about a workload's declaration that its host and the leader must answer alike.
public enum WorkloadPolicy {
    /// Whether it is to leave a host that goes down by plan; otherwise it stops there and waits.
    public static func leaves(_ spec: WorkloadSpec, _ leaving: HostRecord.Leaving) -> Bool {
        switch spec.onHostShutdown {
        case .migrate, .restart: true
        case .freeze: false
        case .conditional: leaving == .powerOff
        }
    }
}

extension Placer {
    /// As if the workload were nowhere: where it is must not speak against where it is.
    mutating func withdraw(_ workload: ResourceKey) { remove(workload) }

    /// Which rule a workload breaks where it is; nil: none.
    func breach(of workload: ResourceKey, on host: String) -> String? {
        guard available.contains(host) else { return nil }
        return objection(to: workload, on: host, countingMemory: false)
    }
}
