// Handing leadership on because a person asked for it, whichever member he asked: one that does not lead passes it on to the
// leader, and answers when it sees another one lead.

import Cluster
import Consensus

/// Requests of this member's API that wait for another leader.
struct LeadershipTransfers: Sendable {
    /// Further ones are refused as overload.
    static let most = 64
    /// A word to the leader may be lost; heard twice it changes nothing.
    static let retryAfter = Interval.milliseconds(250)

    struct Waiting: Sendable {
        /// Who led when it was asked.
        let from: MemberID
        /// Nil: whoever that one chooses.
        let to: MemberID?
        let deadline: Instant
        var nextTry: Instant
    }

    var waiting: SortedMap<RequestID, Waiting> = [:]

    var nextDeadline: Instant {
        waiting.values.map { min($0.deadline, $0.nextTry) }.min() ?? .distantFuture
    }
}

extension AgentCore {
    /// - Parameter member: nil: the best there is.
    mutating func transfer(to member: MemberID?, _ request: RequestID, deadline: Instant, now: Instant) {
        if raft.isLeader { return effects.append(.respond(request, handOverAsAsked(to: member, now: now))) }
        guard let leader = raft.leader else {
            let words = "no leader is known to this member; ask again when there is one"
            return effects.append(.respond(request, .failed(.refused(words))))
        }
        guard transfers.waiting.count < LeadershipTransfers.most else {
            return effects.append(.respond(request, .failed(.overloaded)))
        }
        transfers.waiting[request] = LeadershipTransfers.Waiting(
            from: leader, to: member, deadline: deadline, nextTry: now)
    }

    private mutating func handOverAsAsked(to member: MemberID?, now: Instant) -> AgentResponse {
        guard let target = member ?? heir(now: now), raft.startTransfer(to: target, now: now) else {
            return .failed(
                .refused(
                    "leadership can be handed only to another voter that is there and not while it is being handed over"
                ))
        }
        return .outcome(
            Outcome(code: .done, message: "handing over to \(state.name(of: target))", revision: state.revision))
    }

    /// Another member asks for it. Nothing happens when it cannot be, or is under way: the other sees who leads.
    mutating func handOver(to member: MemberID?, askedBy peer: MemberID, now: Instant) {
        guard raft.isLeader, raft.configuration.contains(peer) else { return }
        if let member { _ = raft.startTransfer(to: member, now: now) } else { handOver(now: now) }
    }

    mutating func continueTransfers(now: Instant) {
        guard !transfers.waiting.isEmpty else { return }
        for (request, waiting) in transfers.waiting.pairs {
            if let leader = raft.leader, waiting.to.map({ $0 == leader }) ?? (leader != waiting.from) {
                let words = "\(state.name(of: leader)) leads now"
                end(request, .outcome(Outcome(code: .done, message: words, revision: state.revision)))
            } else if waiting.deadline <= now {
                let leader = raft.leader.map { "\(state.name(of: $0)) leads" } ?? "nobody is known to lead"
                let wanted = waiting.to.map { " to \(state.name(of: $0))" } ?? ""
                end(
                    request,
                    .failed(
                        .refused(
                            "\(state.name(of: waiting.from)) was asked to hand over\(wanted), and \(leader) still: a "
                                + "voter must be there and have the whole log (holdfast cluster members)")))
            } else if waiting.nextTry <= now {
                // Whoever leads meanwhile, if it is not the one that was wanted.
                if let leader = raft.leader, leader != id { sendToPeer(.handOver(to: waiting.to), leader) }
                _ = transfers.waiting.update(request) { $0.nextTry = now + LeadershipTransfers.retryAfter }
            }
        }
    }

    private mutating func end(_ request: RequestID, _ response: AgentResponse) {
        transfers.waiting[request] = nil
        effects.append(.respond(request, response))
    }
}
