// Turns what is seen of a run into the steps of a trace. Keeps only what the specification can see: turns that change
// nothing for it leave no step, and what reached the member or was promised in them goes with its next one.
// Relies on: the world handing events to an agent one by one while somebody listens.

import Agent
import Consensus
import SimulationWorld

public struct TraceRecorder {
    /// The slowest a promise may run on true time, against its length: clocks are at most this much fast.
    private static let leastOfThousand: Int64 = 999

    /// What a member did that no step has told yet.
    private struct Untold {
        var receipts: [TraceReceipt] = []
        var promisedUntil: Int64 = 0
        /// Promises whose answers wait for a write.
        var waiting: [(write: WriteSequence, until: Int64)] = []
    }

    public private(set) var steps: [TraceStep] = []
    private var state: TraceState
    private var untold: [Untold]

    public init(members: Int) {
        state = TraceState(members: members)
        untold = Array(repeating: Untold(), count: members)
    }

    public mutating func take(_ moment: ConsensusMoment) {
        let place = moment.member
        let known = state.members[place]
        let raft = moment.raft
        var step = TraceStep(
            at: moment.at, member: place + 1, kind: .turn, term: Int(raft.term.rawValue),
            vote: Self.number(raft.hardState.vote), role: Self.role(raft.role), log: known.log,
            commit: Int(raft.commitIndex.rawValue))
        if raft.log.lastIndex.rawValue != UInt64(known.log.count) || raft.term.rawValue != UInt64(known.term)
            || raft.log.lastTerm.rawValue != UInt64(known.log.last?.term ?? 0)
        {
            let entries = raft.log.slice(raft.log.firstIndex, through: raft.log.lastIndex)
            step.log = Self.read(Array(entries), like: known.log)
        }
        step.promise = max(0, untold[place].promisedUntil - moment.at)
        switch moment.happened {
        case .started:
            step.kind = .start
            step.disk = Self.image(moment, like: known.disk.log)
            step.log = Self.read(moment.diskEntries, like: known.log)
            untold[place].receipts = []
            untold[place].waiting = []
        case .persisted(let write):
            step.kind = .durable
            step.disk = Self.image(moment, like: known.disk.log)
            for envelope in write.thenSend { Self.add(envelope, to: &step.sends) }
            for promise in untold[place].waiting where promise.write <= write.sequence {
                untold[place].promisedUntil = max(untold[place].promisedUntil, promise.until)
            }
            untold[place].waiting.removeAll { $0.write <= write.sequence }
            step.term = known.term
            step.vote = known.vote
            step.role = known.role
            step.log = known.log
            step.commit = known.commit
        case .turned(let events, let effects):
            look(at: events, of: raft, in: &step)
            look(at: effects, of: raft, in: &step)
            promise(events, effects, moment)
            guard isVisible(step, after: known) else { return }
            step.receipts = untold[place].receipts
            untold[place].receipts = []
        }
        state.take(step)
        steps.append(step)
    }

    private func isVisible(_ step: TraceStep, after known: TraceState.Member) -> Bool {
        step.term != known.term || step.vote != known.vote || step.role != known.role || step.commit != known.commit
            || step.log != known.log || !step.writes.isEmpty || !step.sends.isEmpty
    }

    // MARK: Messages

    private mutating func look(at events: [AgentEvent], of raft: Raft, in step: inout TraceStep) {
        for event in events {
            guard case .frame(let frame) = event, case .consensus(let term, let message) = frame.body else { continue }
            let from = Int(frame.from.rawValue)
            switch message {
            case .voteReply(let reply) where reply.granted && term == raft.term:
                untold[step.member - 1].receipts.append(.vote(term: step.term, from: from))
            case .appendReply(.accepted(let through)) where term == raft.term:
                untold[step.member - 1].receipts.append(
                    .ack(term: step.term, from: from, through: Int(through.rawValue)))
            case .voteRequest(let request) where request.byTransfer: step.frees = true
            case .campaignNow: step.frees = true
            default: break
            }
        }
    }

    private func look(at effects: [AgentEffect], of raft: Raft, in step: inout TraceStep) {
        for effect in effects {
            switch effect {
            case .persist(let write): step.writes.append(image(of: write, in: step))
            case .send(let frame):
                guard case .consensus(let term, let message) = frame.body else { continue }
                Self.add(message, term, to: frame.to, &step.sends)
            default: break
            }
        }
    }

    /// What a write puts on the disk: what it changes, on top of what was handed out before it. The log of the turn's end
    /// only goes on from there, because one input cuts a log at most once, and before it adds to it.
    private func image(of write: LogWrite, in step: TraceStep) -> TraceWrite {
        let known = state.members[step.member - 1]
        var image = step.writes.last?.image ?? known.writes.last?.image ?? known.disk
        if let hard = write.hardState {
            image.term = Int(hard.term.rawValue)
            image.vote = Self.number(hard.vote)
        }
        if let last = write.entries.last { image.log = Array(step.log.prefix(Int(last.index.rawValue))) }
        let asks = write.thenSend.contains { if case .voteRequest = $0.message { true } else { false } }
        return TraceWrite(image: image, asks: asks)
    }

    private static func add(_ envelope: Envelope, to sends: inout [TraceSend]) {
        add(envelope.message, envelope.term, to: envelope.to, &sends)
    }

    private static func add(_ message: Message, _ term: Term, to: MemberID, _ sends: inout [TraceSend]) {
        let term = Int(term.rawValue)
        let send: TraceSend
        switch message {
        case .voteReply(let reply) where reply.granted: send = .vote(term: term, to: Int(to.rawValue))
        case .voteRequest(let request):
            send = .ask(
                term: term, lastIndex: Int(request.lastIndex.rawValue), lastTerm: Int(request.lastTerm.rawValue))
        case .appendReply(.accepted(let through)): send = .ack(term: term, through: Int(through.rawValue))
        case .preVoteReply(let reply) where reply.granted: send = .preVote(term: term, to: Int(to.rawValue))
        case .campaignNow: send = .order(term: term, to: Int(to.rawValue))
        default: return
        }
        if !sends.contains(send) { sends.append(send) }
    }

    /// A promise counts from when its answer leaves, for as long as the fastest clock keeps it.
    private mutating func promise(_ events: [AgentEvent], _ effects: [AgentEffect], _ moment: ConsensusMoment) {
        var asked = Interval.zero
        for event in events {
            if case .frame(let frame) = event, case .consensus(_, .heartbeat(let heartbeat)) = frame.body {
                asked = heartbeat.promise
            }
        }
        let place = moment.member
        for effect in effects {
            switch effect {
            case .send(let frame):
                guard case .consensus(_, let message) = frame.body else { continue }
                if case .heartbeatReply(let reply) = message, reply.round > 0 {
                    untold[place].promisedUntil = max(untold[place].promisedUntil, Self.end(asked, moment))
                }
                // A leader promises itself what it asks for, and survives a restart only once that is on disk.
                if case .heartbeat(let heartbeat) = message,
                    moment.raft.durability.durableHardState.longestPromise >= heartbeat.promise
                {
                    untold[place].promisedUntil = max(untold[place].promisedUntil, Self.end(heartbeat.promise, moment))
                }
            case .persist(let write):
                for envelope in write.thenSend {
                    guard case .heartbeatReply(let reply) = envelope.message, reply.round > 0 else { continue }
                    untold[place].waiting.append((write.sequence, Self.end(asked, moment)))
                }
            default: break
            }
        }
    }

    private static func end(_ length: Interval, _ moment: ConsensusMoment) -> Int64 {
        moment.at + length.nanoseconds / 1000 * leastOfThousand
    }

    // MARK: Values

    private static func number(_ member: MemberID?) -> Int { Int(member?.rawValue ?? 0) }

    private static func role(_ role: Role) -> TraceRole {
        switch role {
        case .follower, .preCandidate: .follower
        case .candidate: .candidate
        case .leader: .leader
        }
    }

    private static func image(_ moment: ConsensusMoment, like known: [TraceEntry]) -> TraceImage {
        TraceImage(
            term: Int(moment.diskHardState.term.rawValue), vote: number(moment.diskHardState.vote),
            log: read(moment.diskEntries, like: known))
    }

    /// A log, sharing what is known of it already.
    private static func read(_ entries: [Entry], like known: [TraceEntry]) -> [TraceEntry] {
        let same = zip(entries, known).prefix { Int($0.term.rawValue) == $1.term }.count
        if same == entries.count, same == known.count { return known }
        var log = Array(known.prefix(same))
        var voters = TraceWindow.voters(of: log)
        for entry in entries.dropFirst(same) {
            var mask: UInt16 = 0
            if case .configuration(let configuration) = entry.payload {
                for voter in configuration.voters { mask |= 1 << UInt16(voter.rawValue - 1) }
            }
            // A change of learners only is an ordinary entry to the specification.
            if mask == voters { mask = 0 }
            if mask != 0 { voters = mask }
            log.append(TraceEntry(term: Int(entry.term.rawValue), voters: mask))
        }
        return log
    }
}
