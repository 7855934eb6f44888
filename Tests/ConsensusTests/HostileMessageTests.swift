// Messages no sound member sends: they are dropped, and the member goes on. A trap would take the process down, and with
// it every member the sender can reach.

import Consensus
import Testing

@Suite struct HostileMessageTests {
    private static let extremes: [UInt64] = [0, 1, 2, 3, .max / 2, .max - 1, .max]
    private static let spans: [Int64] = [.min, -1, 0, 1, 60_000_000_000, 120_000_000_000, .max]

    /// Every kind of message, with every extreme in every field.
    private static var messages: [Message] {
        var all: [Message] = [
            .preVoteReply(PreVoteReply(granted: true)), .preVoteReply(PreVoteReply(granted: false)),
            .voteReply(VoteReply(granted: true)), .voteReply(VoteReply(granted: false)),
        ]
        for number in extremes {
            let index = LogIndex(rawValue: number)
            for term in extremes.map(Term.init) {
                all.append(.preVoteRequest(PreVoteRequest(lastIndex: index, lastTerm: term)))
                all.append(.voteRequest(VoteRequest(lastIndex: index, lastTerm: term, byTransfer: number % 2 == 0)))
                all.append(.appendReply(.refused(after: index, hintIndex: index, hintTerm: term)))
                all.append(.appendReply(.refused(after: LogIndex(rawValue: 1), hintIndex: index, hintTerm: term)))
                for next in [index, LogIndex(rawValue: number &+ 1)] {
                    all.append(
                        .appendRequest(
                            AppendRequest(
                                previousIndex: index, previousTerm: term,
                                entries: [Entry(index: next, term: term, payload: .empty)], commit: index)))
                }
            }
            all.append(.appendReply(.accepted(through: index)))
            all.append(.commitNotice(CommitNotice(commit: index)))
            let start = DiskStart(number: number, nonce: number)
            all.append(.memoryLost(MemoryLost(start: start)))
            all.append(.readmitted(Readmitted(start: start, committed: index)))
            all.append(.readmitted(Readmitted(start: start, committed: nil)))
            all.append(.startIsOver(StartIsOver(known: start, isAlive: number % 2 == 0)))
            for span in spans.map(Interval.init) {
                all.append(.heartbeat(Heartbeat(round: number, promise: span, commit: index)))
                all.append(.campaignNow(CampaignNow(longestGrant: span)))
                let stamp = Instant(nanoseconds: span.nanoseconds)
                all.append(
                    .heartbeatReply(
                        HeartbeatReply(round: number, leaseAsked: LeaseRequest(stamp: stamp, incarnation: number))))
                all.append(
                    .leaseGrant(LeaseGrant(stamp: stamp, incarnation: 7, duration: span, floor: index)))
            }
        }
        return all
    }

    private static let benches: [(String, Bench)] = [
        ("follower", Bench(terms: [1, 1, 2])),
        ("fresh", Bench(voters: [])),
        ("forgetful", Bench(hardState: HardState(memory: .lost), terms: [1, 1, 2])),
        ("leader", Bench.leader(terms: [1, 1, 2])),
        (
            "candidate",
            {
                var bench = Bench(terms: [1, 1, 2])
                bench.campaign()
                return bench
            }()
        ),
    ]

    @Test(arguments: extremes) func noSingleMessageTraps(term: UInt64) {
        for (_, bench) in Self.benches {
            for message in Self.messages {
                var bench = bench
                bench.receive(message, from: 2, term: term)
                bench.persist()
                bench.receive(message, from: 3, term: bench.raft.term.rawValue)
                bench.pass(.seconds(1))
                bench.tick()
                bench.persist()
                #expect(bench.raft.term.rawValue < .max / 2)
            }
        }
    }

    /// A commit index that was a lie makes later, honest entries contradict what counts as committed. The member keeps
    /// what it has; it does not trap, and it does not replace.
    @Test func anEntryInThePlaceOfACommittedOneIsRefused() {
        var bench = Bench(hardState: HardState(term: Term(rawValue: 2)), terms: [1, 1, 2])
        bench.receive(.heartbeat(Heartbeat(round: 1, promise: .zero, commit: LogIndex(rawValue: 3))), from: 2, term: 2)
        bench.receive(Bench.append(after: 1, term: 1, [Bench.entry(2, term: 3)]), from: 3, term: 3)
        bench.persist()
        #expect(bench.raft.log.term(at: LogIndex(rawValue: 2)) == Term(rawValue: 1))
        #expect(bench.messages(to: 3).appendReplies.isEmpty)
    }

    @Test func aMalformedRunOfEntriesIsRefused() {
        var bench = Bench()
        bench.receive(
            Bench.append(after: 0, term: 0, [Bench.entry(1, term: 2), Bench.entry(2, term: 1)]), from: 2, term: 2)
        bench.receive(Bench.append(after: 0, term: 0, [Bench.entry(2, term: 1)]), from: 2, term: 2)
        bench.receive(Bench.append(after: 0, term: 0, [Bench.entry(1, term: 3)]), from: 2, term: 2)
        bench.persist()
        #expect(bench.raft.log.lastIndex == .zero)
    }

    /// 22
    @Test func messagesOfAnotherClusterOrForAnotherMemberAreDropped() {
        var bench = Bench()
        let vote = Message.voteRequest(
            VoteRequest(lastIndex: LogIndex(rawValue: 9), lastTerm: Term(rawValue: 9), byTransfer: true))
        let own = TestCluster.identity
        for (cluster, from, to) in [(ClusterID(rawValue: 5), 2, 1), (own, 2, 3), (own, 1, 1)]
            as [(ClusterID, UInt64, UInt64)]
        {
            bench.handle(
                .received(
                    Envelope(
                        cluster: cluster, from: MemberID(rawValue: from), to: MemberID(rawValue: to),
                        term: Term(rawValue: 9), message: vote)))
        }
        bench.persist()
        #expect(bench.raft.term == .zero)
        #expect(bench.sent.isEmpty)
    }
}
