// How the consensus stands at one moment, seen from outside: every member, and every message that may still arrive.
// Kept by taking the steps in; the specification starts from it where a window is cut out of a run.

import Consensus

public struct TraceState: Hashable, Sendable {
    public struct Member: Hashable, Sendable {
        public var term = 0
        public var vote = 0
        public var role = TraceRole.follower
        public var log: [TraceEntry] = []
        public var commit = 0
        public var disk = TraceImage()
        /// Handed to the disk and not durable, oldest first.
        public var writes: [TraceWrite] = []
    }

    /// What went over the wires in one term.
    public struct TermRecord: Hashable, Sendable {
        public var requests: SortedMap<Int, [TraceEntry]> = [:]
        public var ballots: SortedMap<Int, Int> = [:]
        public var acks: SortedMap<Int, Int> = [:]
        public var leaders: [Int] = []
        /// All that the leader appended.
        public var log: [TraceEntry] = []
        /// How far the leader has told that entries are committed, at most.
        public var told = 0
        /// Candidate → who granted it a pre-vote.
        public var preVotes: SortedMap<Int, [Int]> = [:]
        /// Who was told to campaign in the next term.
        public var orders: [Int] = []
        /// Member → whose votes reached it.
        public var heardVotes: SortedMap<Int, [Int]> = [:]
        /// Who was heard by the leader, and how far it holds the leader's log.
        public var heardAcks: SortedMap<Int, Int> = [:]
        public init() {}
    }

    public var members: [Member]
    public var terms: SortedMap<Int, TermRecord> = [:]
    /// The longest log that some member knows to be committed.
    public var settled: [TraceEntry] = []

    public init(members: Int) { self.members = Array(repeating: Member(), count: members) }

    public mutating func take(_ step: TraceStep) {
        let place = step.member - 1
        if step.kind == .durable {
            complete(step)
        } else {
            members[place].term = step.term
            members[place].vote = step.vote
            members[place].role = step.role
            members[place].log = step.log
            members[place].commit = step.commit
        }
        if step.kind == .start {
            members[place].disk = step.disk
            members[place].writes = []
        }
        if step.kind == .turn {
            members[place].writes += step.writes
            for receipt in step.receipts { take(receipt, of: step.member) }
            lead(step)
        }
        for send in step.sends { take(send, of: step.member, log: step.kind == .durable ? step.disk.log : step.log) }
        if step.commit > settled.count { settled = Array(step.log.prefix(step.commit)) }
    }

    private mutating func lead(_ step: TraceStep) {
        guard step.role == .leader else { return }
        change(step.term) { record in
            if !record.leaders.contains(step.member) { record.leaders.append(step.member) }
            record.log = step.log
            record.told = max(record.told, step.commit)
        }
    }

    /// A write ended: what the member may count of itself.
    private mutating func complete(_ step: TraceStep) {
        let place = step.member - 1
        members[place].disk = step.disk
        if !members[place].writes.isEmpty { members[place].writes.removeFirst() }
        let disk = step.disk
        change(disk.term) { record in
            if disk.vote == step.member { record.ballots[step.member] = step.member }
            if record.leaders.contains(step.member) {
                let held = zip(disk.log, record.log).prefix { $0 == $1 }.count
                record.acks[step.member] = max(record.acks[step.member] ?? 0, held)
            }
        }
    }

    private mutating func take(_ send: TraceSend, of member: Int, log: [TraceEntry]) {
        switch send {
        case .vote(let term, let to): change(term) { $0.ballots[member] = to }
        case .ask(let term, _, _): change(term) { $0.requests[member] = log }
        case .ack(let term, let through):
            change(term) { $0.acks[member] = max($0.acks[member] ?? 0, through) }
        case .preVote(let term, let to): change(term) { $0.preVotes[to] = ($0.preVotes[to] ?? []) + [member] }
        case .order(let term, let to): change(term) { $0.orders.append(to) }
        }
    }

    private mutating func take(_ receipt: TraceReceipt, of member: Int) {
        switch receipt {
        case .vote(let term, let from):
            change(term) { $0.heardVotes[member] = ($0.heardVotes[member] ?? []) + [from] }
        case .ack(let term, let from, let through):
            change(term) { $0.heardAcks[from] = max($0.heardAcks[from] ?? 0, through) }
        }
    }

    private mutating func change(_ term: Int, _ body: (inout TermRecord) -> Void) {
        var record = terms[term] ?? TermRecord()
        body(&record)
        terms[term] = record
    }
}
