// Commands on their way into the log, from wherever they came: the API of this member, or this member itself.
// A command is offered to the leader until it is seen applied; the stamp makes every further offer harmless.

import Cluster
import Consensus

/// The commands this member has offered and not yet seen applied.
struct Proposals: Sendable {
    /// Open commands of one member; further requests are refused as overload.
    static let most = 8_192
    /// Bytes of one encoded command. It has to fit into one frame, or it could be sent to nobody.
    static let mostBytes = 1 << 20
    static let retryAfter = Interval.milliseconds(250)
    /// The member's own commands (announcements, releases) are given up after this; what led to them is looked at anew.
    static let ownLifetime = Interval.seconds(10)

    struct Key: Hashable, Comparable, Sendable {
        let session: UInt64
        let request: UInt64
        static func < (left: Key, right: Key) -> Bool {
            left.session == right.session ? left.request < right.request : left.session < right.session
        }
    }

    struct Open: Sendable {
        let id: UInt64
        let record: [UInt8]
        let request: RequestID?
        let deadline: Instant
        var nextTry: Instant
        /// Whom it removes from the cluster.
        let removes: MemberID?
        /// How often a leader that is to be removed was asked to hand over first.
        var handOversAsked = 0
    }

    /// Then it is removed as it leads: nobody else can lead, or it is of a release that does not listen.
    static let mostHandOversAsked = 4

    var open: SortedMap<Key, Open> = [:]
    private var lastID: UInt64 = 0
    private var lastRequest: UInt64 = 0

    /// When the earliest retry or deadline is due.
    var nextDeadline: Instant {
        var next = Instant.distantFuture
        let all = open.values
        for position in all.indices { next = min(next, all[position].deadline, all[position].nextTry) }
        return next
    }

    /// A stamp of this process's own session.
    mutating func stamp(session: UInt64) -> RequestStamp {
        lastRequest += 1
        let oldest = open.pairs.first { $0.0.session == session }?.0.request ?? lastRequest
        return RequestStamp(session: session, request: lastRequest, settled: min(oldest, lastRequest) - 1)
    }

    mutating func add(
        _ stamp: RequestStamp, record: [UInt8], request: RequestID?, deadline: Instant, now: Instant,
        removes: MemberID? = nil
    ) {
        lastID += 1
        open[Key(session: stamp.session, request: stamp.request)] = Open(
            id: lastID, record: record, request: request, deadline: deadline, nextTry: now, removes: removes)
    }

    /// A command was applied; returns the request that waits for it.
    mutating func finished(_ stamp: RequestStamp) -> RequestID? {
        let key = Key(session: stamp.session, request: stamp.request)
        guard let proposal = open[key] else { return nil }
        open[key] = nil
        return proposal.request
    }

    func isOpen(_ stamp: RequestStamp?) -> Bool {
        guard let stamp else { return false }
        return open.contains(Key(session: stamp.session, request: stamp.request))
    }

    mutating func refused(_ id: UInt64, now: Instant) {
        guard let position = open.values.firstIndex(where: { $0.id == id }) else { return }
        // Asked again soon, but not at once: the refusing member will learn of its successor meanwhile.
        _ = open.update(open.keys[position]) { $0.nextTry = min($0.nextTry, now + .milliseconds(20)) }
    }

    mutating func retryAll() {
        for key in open.keys { _ = open.update(key) { $0.nextTry = .distantPast } }
    }
}

extension AgentCore {
    /// Offers one of this member's own commands. Returns its stamp, to ask later whether it is still open.
    @discardableResult
    mutating func propose(_ command: Command, now: Instant) -> RequestStamp {
        let stamp = proposals.stamp(session: setup.session)
        offer(
            command, stamp: stamp, actor: setup.record.name, request: nil, deadline: now + Proposals.ownLifetime,
            now: now)
        return stamp
    }

    mutating func offer(
        _ command: Command, stamp: RequestStamp, actor: String, origin: CommandOrigin? = nil, request: RequestID?,
        deadline: Instant, now: Instant
    ) {
        let record = CommandRecord(
            stamp: stamp, milliseconds: wallMilliseconds, actor: actor, origin: origin, command: command)
        guard let bytes = setup.writeCommand(record) else {
            if let request {
                effects.append(
                    .respond(
                        request, .failed(.refused("the command cannot be written as JSON (a number is not finite)"))))
            }
            return
        }
        guard bytes.count <= Proposals.mostBytes else {
            if let request {
                effects.append(
                    .respond(request, .failed(.refused("a command takes at most 1 MiB; apply fewer resources at once")))
                )
            }
            return
        }
        var removes: MemberID?
        if case .removeMember(let member) = command { removes = member }
        proposals.add(stamp, record: bytes, request: request, deadline: deadline, now: now, removes: removes)
    }

    mutating func retryProposals(now: Instant) {
        guard proposals.nextDeadline <= now else { return }
        for (key, proposal) in proposals.open.pairs {
            if proposal.deadline <= now {
                proposals.open[key] = nil
                if let request = proposal.request {
                    effects.append(.respond(request, .failed(.noQuorum(detail: quorumWords(now: now)))))
                }
            } else if proposal.nextTry <= now {
                send(proposal, key, now: now)
            }
        }
    }

    private mutating func send(_ proposal: Proposals.Open, _ key: Proposals.Key, now: Instant) {
        var next = now + Proposals.retryAfter
        if let leader = raft.leader, proposal.removes == leader,
            proposal.handOversAsked < Proposals.mostHandOversAsked
        {
            // Removed while it leads it would be turned away by whoever has heard of it, and leave a gap.
            if raft.isLeader { handOver(now: now) } else { sendToPeer(.handOver(to: nil), leader) }
            _ = proposals.open.update(key) {
                $0.handOversAsked += 1
                $0.nextTry = next
            }
            return
        }
        if raft.isLeader {
            switch raft.propose([proposal.record], now: now) {
            // In the log: nothing to repeat while this member leads. If it loses the lead, everything is offered anew.
            case .success: next = .distantFuture
            case .failure(.overloaded):
                if let request = proposal.request {
                    proposals.open[key] = nil
                    effects.append(.respond(request, .failed(.overloaded)))
                    return
                }
            case .failure(.notLeader), .failure(.transferring): break
            }
        } else if let leader = raft.leader {
            sendToPeer(.proposal(id: proposal.id, record: proposal.record), leader)
        }
        _ = proposals.open.update(key) { $0.nextTry = next }
    }

    /// Gives leadership to the best there is; nothing happens when nobody is near enough, or it is on its way.
    mutating func handOver(now: Instant) {
        if let heir = heir(now: now) { _ = raft.startTransfer(to: heir, now: now) }
    }

    mutating func proposeForPeer(_ record: [UInt8], _ id: UInt64, from peer: MemberID, now: Instant) {
        // Its own member has looked at the size too; a leader does not count on it.
        // So has its member looked at what the command needs; one that does not is kept from stopping everybody else.
        guard record.count <= Proposals.mostBytes,
            state.objection(toLevel: CommandRecord.neededLevel(of: record)) == nil,
            case .success = raft.propose([record], now: now)
        else {
            return sendToPeer(.proposalRefused(id: id, leader: raft.leader), peer)
        }
    }

    mutating func sendToPeer(_ body: PeerFrame.Body, _ peer: MemberID) {
        var (start, earlier) = (DiskStart.none, [DiskStart]())
        switch body {
        case .recoveryProbe, .recoveryStatus: (start, earlier) = (raft.hardState.start, raft.hardState.earlierStarts)
        default: break
        }
        effects.append(
            .send(
                PeerFrame(
                    cluster: setup.cluster, from: id, to: peer, epoch: raft.epoch, body: body, start: start,
                    earlierStarts: earlier)))
    }

    /// Why nothing was committed in time, as far as this member can tell.
    func quorumWords(now: Instant) -> String {
        if raft.isLeader {
            let silent = standings(now: now).pairs.filter { !$0.1.reachable }.map { state.name(of: $0.0) }
            return silent.isEmpty
                ? "this member leads, but no majority made the change durable in time"
                : "this member leads, but hears nothing of \(silent.joined(separator: ", "))"
        }
        if let leader = raft.leader { return "the leader \(state.name(of: leader)) did not answer in time" }
        let voters = raft.configuration.allVoters.map { state.name(of: $0) }.joined(separator: ", ")
        return "no leader is known; a majority of the voters (\(voters)) must reach each other"
    }

    /// A request of this member's API.
    mutating func accept(_ request: AgentRequest, _ id: RequestID, now: Instant) {
        switch request {
        case .propose(let command, let stamp, let actor, let deadline, let origin):
            guard proposals.open.count < Proposals.most else {
                effects.append(.respond(id, .failed(.overloaded)))
                return
            }
            // Turned away here already: the log would refuse it too, but that is an entry on every disk, an act in the
            // audit log and a session among those that are remembered, and whoever may not ask can send any number.
            if let origin, let objection = state.objection(to: origin) {
                effects.append(.respond(id, .failed(.forbidden(objection))))
                return
            }
            if let objection = state.objection(toLevel: command.neededLevel) {
                effects.append(.respond(id, .failed(.refused(objection))))
                return
            }
            let stamp = stamp ?? proposals.stamp(session: setup.session)
            guard !proposals.isOpen(stamp) else {
                effects.append(
                    .respond(id, .failed(.refused("this request is being carried out already; ask again later"))))
                return
            }
            offer(
                command, stamp: stamp, actor: actor, origin: origin, request: id, deadline: deadline, now: now)
        case .read(let deadline): acceptRead(id, deadline: deadline, now: now)
        case .readLocal: effects.append(.respond(id, .state(state, view(now: now))))
        case .transferLeadership(let member, let deadline): transfer(to: member, id, deadline: deadline, now: now)
        case .recover(let dead, let actor, let origin):
            acceptRecovery(id, dead: dead, actor: actor, origin: origin, now: now)
        }
    }
}
