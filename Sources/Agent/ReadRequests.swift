// Linearizable reads of this member's API, and read indexes for other members.
// A read learns from the leader up to where the log was committed when it arrived, waits until this member has applied
// that much, and is answered from the state here.

import Cluster
import Consensus

struct ReadRequests: Sendable {
    static let most = 4_096
    static let retryAfter = Interval.milliseconds(250)

    enum Phase: Sendable {
        /// The leader must be asked, or asked again.
        case asking(nextTry: Instant)
        case waiting(for: LogIndex)
    }

    struct Open: Sendable {
        /// Nil: the member's own question whether its state is current.
        let request: RequestID?
        let deadline: Instant
        var phase: Phase
    }

    struct Remote: Sendable {
        let peer: MemberID
        let id: UInt64
    }

    /// Reads of this member, by an id of this member's.
    var own: SortedMap<UInt64, Open> = [:]
    /// Reads of other members that this member, as leader, is asked about.
    var remote: SortedMap<UInt64, Remote> = [:]
    private var lastID: UInt64

    /// - Parameter session: this process's own. An answer that an earlier process of this member asked for may still be
    ///   on its way; counted from one number it would be taken for an answer to a read that came later, and be stale.
    init(session: UInt64) { lastID = session }

    mutating func newID() -> UInt64 {
        lastID &+= 1
        return lastID
    }

    var nextDeadline: Instant {
        var next = Instant.distantFuture
        for read in own.values {
            next = min(next, read.deadline)
            if case .asking(let nextTry) = read.phase { next = min(next, nextTry) }
        }
        return next
    }

    /// Asks, for as long as it takes, whether this member's state is current.
    mutating func askWhetherCurrent() {
        own[newID()] = Open(request: nil, deadline: .distantFuture, phase: .asking(nextTry: .distantPast))
    }

    /// The leader's answer; nil: it cannot tell.
    mutating func answered(_ id: UInt64, _ index: LogIndex?, now: Instant) {
        _ = own.update(id) { read in
            guard case .asking = read.phase else { return }
            read.phase = index.map { .waiting(for: $0) } ?? .asking(nextTry: now + .milliseconds(20))
        }
    }

    mutating func retryAll() {
        for key in own.keys {
            _ = own.update(key) { read in
                if case .asking = read.phase { read.phase = .asking(nextTry: .distantPast) }
            }
        }
    }
}

extension AgentCore {
    mutating func acceptRead(_ request: RequestID, deadline: Instant, now: Instant) {
        guard reads.own.count < ReadRequests.most else {
            effects.append(.respond(request, .failed(.overloaded)))
            return
        }
        reads.own[reads.newID()] = ReadRequests.Open(
            request: request, deadline: deadline, phase: .asking(nextTry: now))
    }

    mutating func retryReads(now: Instant) {
        guard reads.nextDeadline <= now else { return }
        for (id, read) in reads.own.pairs {
            if read.deadline <= now {
                reads.own[id] = nil
                guard let request = read.request else { continue }
                effects.append(.respond(request, .failed(.noQuorum(detail: quorumWords(now: now)))))
            } else if case .asking(let nextTry) = read.phase, nextTry <= now {
                _ = reads.own.update(id) { $0.phase = .asking(nextTry: now + ReadRequests.retryAfter) }
                if raft.isLeader {
                    raft.read(ReadID(rawValue: id), mayUseLease: mayUseLease, now: now)
                } else if let leader = raft.leader {
                    sendToPeer(.readIndex(id: id), leader)
                }
            }
        }
    }

    /// A guest's clock stands still while the guest is paused, so a leader inside one proves its lead for every read.
    private var mayUseLease: Bool { setup.record.kind != .guest }

    mutating func readForPeer(_ id: UInt64, from peer: MemberID, now: Instant) {
        guard raft.isLeader, reads.remote.count < ReadRequests.most else {
            sendToPeer(.readIndexAnswer(id: id, index: nil), peer)
            return
        }
        let own = reads.newID()
        reads.remote[own] = ReadRequests.Remote(peer: peer, id: id)
        raft.read(ReadID(rawValue: own), mayUseLease: mayUseLease, now: now)
    }

    mutating func readReady(_ read: ReadID, _ index: LogIndex, now: Instant) {
        if let remote = reads.remote[read.rawValue] {
            reads.remote[read.rawValue] = nil
            sendToPeer(.readIndexAnswer(id: remote.id, index: index), remote.peer)
        } else {
            reads.answered(read.rawValue, index, now: now)
            answerReads(now: now)
        }
    }

    mutating func readRefused(_ read: ReadID, now: Instant) {
        if let remote = reads.remote[read.rawValue] {
            reads.remote[read.rawValue] = nil
            sendToPeer(.readIndexAnswer(id: remote.id, index: nil), remote.peer)
        } else {
            reads.answered(read.rawValue, nil, now: now)
        }
    }

    /// Answers the reads whose index has been applied.
    mutating func answerReads(now: Instant) {
        guard !reads.own.isEmpty else { return }
        for (id, read) in reads.own.pairs {
            guard case .waiting(let index) = read.phase, applied >= index else { continue }
            reads.own[id] = nil
            if let request = read.request {
                effects.append(.respond(request, .state(state, view(now: now))))
            } else {
                isCurrent = true
            }
        }
    }
}
