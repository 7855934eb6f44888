// Starting and stopping as a good citizen: a member tells who and where it is when it starts, and gives its roles and
// its leadership away before it stops.

import Cluster
import Consensus

struct StopProgress: Sendable {
    /// A stop does not wait longer than this for others to take over.
    static let patience = Interval.seconds(3)
    // A host with an armed watchdog waits as much longer as that takes to fire: it is disarmed once the cluster knows that
    // it will be, or, without a lease, once the guests that it answers for have been ended. A process that ended before
    // would have its machine reset.

    enum Phase: Sendable {
        case running
        case givingRolesAway(RequestStamp)
        case handingOver
        case stopped
    }

    var phase: Phase = .running
    var giveUp: Instant = .distantFuture
    /// Whether this member held a role when it was asked to stop.
    var gaveAway = false
    /// Until then packets that still reach this member for what it gave away are taken, as in any planned move: whoever
    /// has it now may be a moment from answering.
    var drainedAt: Instant = .distantPast
    var announced: RequestStamp?
    /// The revision at which the cluster knew of this member all there is to know.
    var knownRevision: UInt64?

    var isStopping: Bool { if case .running = phase { false } else { true } }
    func deadline(now: Instant) -> Instant {
        switch phase {
        case .stopped: .distantFuture
        case .handingOver where drainedAt > now: min(drainedAt, giveUp)
        case .running, .givingRolesAway, .handingOver: giveUp
        }
    }
}

extension AgentCore {
    /// Tells the cluster where this member is now, when that differs from what the cluster knows.
    mutating func announceIfNeeded(now: Instant) {
        guard stop.knownRevision != state.revision else { return }
        guard !stop.isStopping, !proposals.isOpen(stop.announced), raft.leader != nil, let known = state.members[id]
        else {
            return
        }
        let own = setup.record
        let differs =
            known.stopping || known.host != state.presentName(own.host) || known.peerEndpoint != own.peerEndpoint
            || known.apiEndpoint != own.apiEndpoint || known.version != own.version
            || known.level != own.level
            || (own.certificateExpires != nil && known.certificateExpires != own.certificateExpires)
            || (state.level >= 2 && own.signedBy != nil && known.signedBy != own.signedBy)
            || (state.level >= 2 && own.preparedFor != nil && known.preparedFor != own.preparedFor)
            || (state.level >= 2 && own.runsGuests != nil && known.runsGuests != own.runsGuests)
            || (state.level >= 2 && own.machine != nil && known.machine != own.machine)
        guard differs else {
            stop.knownRevision = state.revision
            return
        }
        stop.announced = propose(.announce(member: own), now: now)
    }

    mutating func beginStop(now: Instant) {
        guard !stop.isStopping else { return }
        stop.giveUp = now + StopProgress.patience
        if guests.watchdog.mayBeArmed {
            stop.giveUp = stop.giveUp + .milliseconds(guests.facts?.watchdogMilliseconds ?? 0)
        }
        stop.gaveAway = state.roles.values.contains { $0.holder == id }
        stop.phase = .givingRolesAway(propose(.stopping(id), now: now))
        effects.append(.log("stopping: giving roles away first"))
    }

    mutating func continueStop(now: Instant) {
        switch stop.phase {
        case .running, .stopped: return
        case .givingRolesAway(let told):
            let mayHold = state.roles.values.contains { $0.holder == id }
            if !proposals.isOpen(told) && !mayHold && !guests.watchdog.mayBeArmed {
                stop.phase = .handingOver
                if stop.gaveAway { stop.drainedAt = now + LocalRoles.drain }
                handOver(now: now)
            }
        case .handingOver: break
        }
        if case .handingOver = stop.phase, now >= stop.drainedAt,
            !raft.isLeader || raft.configuration.allVoters == [id]
        {
            finishStop()
        }
        if now >= stop.giveUp { finishStop() }
    }

    /// Who should lead next when this member must not: hosts before guests, the witness last, and nobody who is about to
    /// stop too if there is another. Nil when nobody is near enough.
    func heir(now: Instant) -> MemberID? {
        guard raft.isLeader else { return nil }
        let able = raft.configuration.voters.filter { $0 != id && raft.isCaughtUp($0, within: 64, now: now) }
        func reluctance(_ voter: MemberID) -> Int {
            guard let member = state.members[voter] else { return 3 }
            let kind =
                switch member.kind {
                case .host: 0
                case .guest: 1
                case .witness: 2
                }
            return kind + (member.stopping ? 4 : 0)
        }
        return able.min { (reluctance($0), $0) < (reluctance($1), $1) }
    }

    private mutating func finishStop() {
        if case .stopped = stop.phase { return }
        letGoOfEverything()
        if guests.watchdog.mayBeArmed {
            // Whoever counts on it must not be wrong. That is worse than a reset.
            effects.append(
                .log(
                    "the watchdog stays armed: the cluster could not be told that it is not, and a guest that it answers for "
                        + "may be running here. It resets this machine unless the agent is started again at once"))
        }
        effects.append(restartsMachine ? .restartMachine : .stopped)
    }

    /// Ends this member for good, with words.
    mutating func end(_ why: String) {
        if case .stopped = stop.phase { return }
        letGoOfEverything()
        effects.append(.failed(why))
    }

    private mutating func letGoOfEverything() {
        for (role, held) in local.held.pairs { effects.append(.address(.drop(role: role, addresses: held.addresses))) }
        local.held = [:]
        stop.phase = .stopped
    }
}
