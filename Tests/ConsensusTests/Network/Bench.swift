// One Raft value on a bench: the test plays everyone else, message by message, and the disk, write by write.

import Consensus

struct Bench {
    var raft: Raft
    private(set) var now: Instant
    private var random = SplitMix64(seed: 42)
    /// Everything that has left, oldest first.
    private(set) var sent: [Envelope] = []
    /// Writes that are not durable yet.
    private(set) var writes: [LogWrite] = []
    /// Effects that are neither messages nor writes.
    private(set) var notices: [Effect] = []

    init(
        _ id: UInt64 = 1, voters: [UInt64] = [1, 2, 3], learners: [UInt64] = [], hardState: HardState = HardState(),
        terms: [UInt64] = [], timing: Timing = Timing(), limits: Limits = Limits(), at now: Instant = .zero
    ) {
        self.now = now
        let entries = terms.enumerated().map { offset, term in Bench.entry(UInt64(offset) + 1, term: term) }
        raft = Raft(
            id: MemberID(rawValue: id), cluster: TestCluster.identity, timing: timing, limits: limits, rank: .preferred,
            incarnation: 7, hardState: hardState, entries: entries,
            initialConfiguration: Configuration(
                voters: voters.map(MemberID.init), learners: learners.map(MemberID.init)),
            now: now)
        // Past the grain of the clock that a start adds to the promise it may have forgotten.
        pass(.milliseconds(1))
    }

    /// A leader of the term after `terms` (or of `term`), elected by everyone, with its own writes durable.
    static func leader(
        of term: UInt64? = nil, voters: [UInt64] = [1, 2, 3], learners: [UInt64] = [], terms: [UInt64] = [],
        timing: Timing = Timing(), limits: Limits = Limits()
    ) -> Bench {
        let before = Term(rawValue: term.map { $0 - 1 } ?? terms.last ?? 0)
        var bench = Bench(
            voters: voters, learners: learners, hardState: HardState(term: before), terms: terms, timing: timing,
            limits: limits)
        bench.campaign()
        for voter in voters where voter != 1 {
            bench.receive(.voteReply(VoteReply(granted: true)), from: voter, term: bench.raft.term.rawValue)
        }
        bench.persist()
        return bench
    }

    static func entry(_ index: UInt64, term: UInt64, value: UInt64 = 0) -> Entry {
        Entry(
            index: LogIndex(rawValue: index), term: Term(rawValue: term),
            payload: .command(TestCommand.value(value).bytes))
    }

    static func append(after index: UInt64, term: UInt64, _ entries: [Entry] = [], commit: UInt64 = 0) -> Message {
        .appendRequest(
            AppendRequest(
                previousIndex: LogIndex(rawValue: index), previousTerm: Term(rawValue: term), entries: entries,
                commit: LogIndex(rawValue: commit)))
    }

    /// Times out, wins the pre-vote, and makes its own vote durable.
    mutating func campaign() {
        pass(.milliseconds(700))
        tick()
        for voter in raft.configuration.voters where voter != raft.id && raft.role == .preCandidate {
            receive(.preVoteReply(PreVoteReply(granted: true)), from: voter.rawValue, term: raft.term.next.rawValue)
        }
        persist()
    }

    mutating func pass(_ span: Interval) { now = now + span }

    mutating func tick() { handle(.tick) }

    mutating func receive(
        _ message: Message, from: UInt64, term: UInt64, start: DiskStart = .none, after earlier: [DiskStart] = []
    ) {
        handle(
            .received(
                Envelope(
                    cluster: TestCluster.identity, from: MemberID(rawValue: from), to: raft.id,
                    term: Term(rawValue: term), message: message, start: start, earlierStarts: earlier)))
    }

    mutating func handle(_ input: Input) {
        raft.handle(input, now: now, random: &random)
        flush()
    }

    /// Takes an input in without flushing.
    mutating func handleOnly(_ message: Message, from: UInt64, term: UInt64) {
        let envelope = Envelope(
            cluster: TestCluster.identity, from: MemberID(rawValue: from), to: raft.id, term: Term(rawValue: term),
            message: message)
        raft.handle(.received(envelope), now: now, random: &random)
    }

    mutating func flush() {
        var effects: [Effect] = []
        raft.flush(now: now, into: &effects)
        for effect in effects {
            switch effect {
            case .send(let envelope): sent.append(envelope)
            case .persist(let write): writes.append(write)
            default: notices.append(effect)
            }
        }
    }

    /// Makes the oldest `count` writes durable (all, if not said), one by one.
    mutating func persist(_ count: Int = .max) {
        var left = count
        while left > 0, !writes.isEmpty {
            left -= 1
            let write = writes.removeFirst()
            sent.append(contentsOf: write.thenSend)
            handle(.persisted(write.sequence))
        }
    }

    mutating func forget() {
        sent = []
        notices = []
    }

    /// What has left for one member.
    func messages(to member: UInt64) -> [Message] { sent.filter { $0.to.rawValue == member }.map(\.message) }

    /// Answers the newest round as a follower does.
    mutating func answerRound(from member: UInt64, lease: LeaseRequest? = nil) {
        let round = raft.leadership?.quorumLease.round ?? 0
        receive(
            .heartbeatReply(HeartbeatReply(round: round, leaseAsked: lease)), from: member,
            term: raft.term.rawValue)
    }

    mutating func transfer(to member: UInt64) -> Bool {
        let started = raft.startTransfer(to: MemberID(rawValue: member), now: now)
        flush()
        return started
    }

    mutating func propose(_ values: UInt64...) -> Bool {
        let proposed = raft.propose(values.map { TestCommand.value($0).bytes }, now: now)
        flush()
        if case .success = proposed { return true }
        return false
    }

    mutating func propose(_ change: ConfigurationChange) -> Result<LogIndex, ConfigurationRefusal> {
        let proposed = raft.propose(change, now: now)
        flush()
        return proposed
    }

    /// What would come of proposing a change now.
    func trial(_ change: ConfigurationChange) -> Result<LogIndex, ConfigurationRefusal> {
        var copy = self
        return copy.propose(change)
    }

    mutating func adopt(_ epoch: Epoch) {
        raft.adopt(epoch, now: now, random: &random)
        flush()
    }

    mutating func begin(_ epoch: Epoch, voters: [UInt64], after term: UInt64) {
        let begun = raft.begin(
            epoch, voters: voters.map(MemberID.init), learners: [], after: Term(rawValue: term),
            record: TestCommand.value(1).bytes, now: now, random: &random)
        precondition(begun, "no snapshot is being installed on a bench")
        flush()
    }

    mutating func tell(_ start: DiskStart, after earlier: [DiskStart] = [], of member: UInt64) -> Bool {
        let isOver = raft.tellIfOver(start, after: earlier, of: MemberID(rawValue: member))
        flush()
        return isOver
    }

    mutating func read(_ number: UInt64, mayUseLease: Bool) {
        raft.read(ReadID(rawValue: number), mayUseLease: mayUseLease, now: now)
        flush()
    }

    mutating func accept(through index: UInt64, from member: UInt64) {
        receive(
            .appendReply(.accepted(through: LogIndex(rawValue: index))), from: member, term: raft.term.rawValue)
    }
}

extension Instant {
    static let zero = Instant(nanoseconds: 0)
}

extension Array where Element == Message {
    var votes: [Bool] { compactMap { if case .voteReply(let reply) = $0 { reply.granted } else { nil } } }
    var preVotes: [Bool] { compactMap { if case .preVoteReply(let reply) = $0 { reply.granted } else { nil } } }
    var appendReplies: [AppendReply] { compactMap { if case .appendReply(let reply) = $0 { reply } else { nil } } }
    var appends: [AppendRequest] { compactMap { if case .appendRequest(let request) = $0 { request } else { nil } } }
    var notices: [CommitNotice] { compactMap { if case .commitNotice(let notice) = $0 { notice } else { nil } } }
    var grants: [LeaseGrant] { compactMap { if case .leaseGrant(let grant) = $0 { grant } else { nil } } }
    var orders: [CampaignNow] { compactMap { if case .campaignNow(let order) = $0 { order } else { nil } } }
    var voteRequests: [VoteRequest] { compactMap { if case .voteRequest(let request) = $0 { request } else { nil } } }
    var losses: [MemoryLost] { compactMap { if case .memoryLost(let loss) = $0 { loss } else { nil } } }
    var readmissions: [Readmitted] { compactMap { if case .readmitted(let answer) = $0 { answer } else { nil } } }
    var overs: [StartIsOver] { compactMap { if case .startIsOver(let notice) = $0 { notice } else { nil } } }
    var heartbeatReplies: [HeartbeatReply] {
        compactMap { if case .heartbeatReply(let reply) = $0 { reply } else { nil } }
    }
    var heartbeats: [Heartbeat] { compactMap { if case .heartbeat(let heartbeat) = $0 { heartbeat } else { nil } } }
}
