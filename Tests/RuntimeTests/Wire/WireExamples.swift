// One frame of every kind, with the values that are easy to get wrong.

import Agent
import Consensus

let exampleMessages: [(Term, Message)] = {
    func index(_ value: UInt64) -> LogIndex { LogIndex(rawValue: value) }
    func term(_ value: UInt64) -> Term { Term(rawValue: value) }
    let configuration = Configuration(
        voters: [MemberID(rawValue: 1), MemberID(rawValue: .max)], learners: [MemberID(rawValue: 2)])
    let joint = Configuration(
        voters: [MemberID(rawValue: 1), MemberID(rawValue: .max)], learners: [MemberID(rawValue: 2)],
        outgoingVoters: [3, 4, 5].map(MemberID.init), learnersNext: [MemberID(rawValue: 4)],
        epoch: Epoch(rawValue: 7 << 32 | 3))
    let recovered = Configuration(voters: [MemberID(rawValue: 1)], epoch: .greatest)
    let entries = [
        Entry(index: index(8), term: term(3), payload: .empty),
        Entry(index: index(9), term: term(3), payload: .command([])),
        Entry(index: index(10), term: term(4), payload: .command(Array(0...255))),
        Entry(index: index(11), term: term(4), payload: .configuration(configuration)),
        Entry(index: index(12), term: term(4), payload: .configuration(joint)),
        Entry(index: index(13), term: term(4), payload: .configuration(recovered)),
    ]
    return [
        (term(5), .preVoteRequest(PreVoteRequest(lastIndex: index(7), lastTerm: term(4)))),
        (term(1), .preVoteRequest(PreVoteRequest(lastIndex: .zero, lastTerm: .zero))),
        (term(5), .preVoteReply(PreVoteReply(granted: true))),
        (.zero, .preVoteReply(PreVoteReply(granted: false))),
        (term(5), .voteRequest(VoteRequest(lastIndex: index(7), lastTerm: term(4), byTransfer: true))),
        (term(5), .voteRequest(VoteRequest(lastIndex: index(7), lastTerm: term(4), byTransfer: false))),
        (term(5), .voteReply(VoteReply(granted: true))),
        (term(5), .voteReply(VoteReply(granted: false))),
        (
            term(4),
            .appendRequest(
                AppendRequest(previousIndex: index(7), previousTerm: term(3), entries: entries, commit: index(6)))
        ),
        (
            term(4),
            .appendRequest(AppendRequest(previousIndex: .zero, previousTerm: .zero, entries: [], commit: .zero))
        ),
        (term(4), .appendReply(.accepted(through: .zero))),
        (term(4), .appendReply(.accepted(through: index(11)))),
        (term(4), .appendReply(.refused(after: index(9), hintIndex: index(7), hintTerm: term(2)))),
        (term(4), .appendReply(.refused(after: index(9), hintIndex: .zero, hintTerm: .zero))),
        (term(4), .heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: index(9)))),
        (term(4), .heartbeatReply(HeartbeatReply(round: 0, leaseAsked: nil))),
        (term(4), .heartbeatReply(HeartbeatReply(round: 2, leaseAsked: nil, knowsJointConfigurations: false))),
        (
            term(4),
            .heartbeatReply(
                HeartbeatReply(
                    round: 12, leaseAsked: LeaseRequest(stamp: Instant(nanoseconds: 5), incarnation: .max)))
        ),
        (
            term(4),
            .leaseGrant(
                LeaseGrant(
                    stamp: Instant(nanoseconds: 5), incarnation: 0, duration: .milliseconds(300), floor: index(3)))
        ),
        (term(4), .campaignNow(CampaignNow(longestGrant: .zero))),
        (term(4), .commitNotice(CommitNotice(commit: index(10)))),
        (
            term(4),
            .snapshotChunk(
                SnapshotChunk(
                    mark: SnapshotMark(index: index(9), term: term(3), configuration: configuration), size: 300,
                    checksum: .max, offset: 40, bytes: Array(0...255)))
        ),
        (
            term(4),
            .snapshotChunk(
                SnapshotChunk(
                    mark: SnapshotMark(index: index(9), term: term(3), configuration: configuration), size: 300,
                    checksum: 0, offset: 300, bytes: []))
        ),
        (
            term(4),
            .snapshotChunk(
                SnapshotChunk(
                    mark: SnapshotMark(index: index(9), term: term(3), configuration: joint), size: 300,
                    checksum: 0, offset: 300, bytes: []))
        ),
        (term(4), .snapshotReply(SnapshotReply(index: index(9), offset: 40, received: 300))),
        (term(4), .memoryLost(MemoryLost(start: DiskStart(number: 3, nonce: .max)))),
        (term(4), .readmitted(Readmitted(start: DiskStart(number: 3, nonce: .max), committed: index(7)))),
        (term(4), .readmitted(Readmitted(start: DiskStart(number: 3, nonce: .max), committed: nil))),
        (term(4), .startIsOver(StartIsOver(known: DiskStart(number: 4, nonce: 1), isAlive: true))),
        (term(4), .startIsOver(StartIsOver(known: DiskStart(number: 4, nonce: 0), isAlive: false))),
    ]
}()

private func standing(leader: MemberID?) -> RecoveryStanding {
    RecoveryStanding(
        epoch: .first, term: Term(rawValue: 4),
        last: LogPosition(index: LogIndex(rawValue: 9), term: Term(rawValue: 3)), leader: leader,
        isWhole: leader == nil)
}

func frame(_ body: PeerFrame.Body) -> PeerFrame {
    PeerFrame(
        cluster: ClusterID(rawValue: 0xC1), from: MemberID(rawValue: 2), to: MemberID(rawValue: 1), body: body)
}

let exampleFrames: [PeerFrame] =
    exampleMessages.map { frame(.consensus($0.0, $0.1)) } + [
        PeerFrame(
            cluster: ClusterID(rawValue: 0xC1), from: MemberID(rawValue: 2), to: MemberID(rawValue: 1),
            body: .consensus(Term(rawValue: 5), .voteReply(VoteReply(granted: true))),
            start: DiskStart(number: 12, nonce: .max)),
        PeerFrame(
            cluster: ClusterID(rawValue: 0xC1), from: MemberID(rawValue: 2), to: MemberID(rawValue: 1),
            body: .consensus(Term(rawValue: 5), .voteReply(VoteReply(granted: true))),
            start: DiskStart(number: 12, nonce: .max),
            earlierStarts: (1...8).map { DiskStart(number: 12 - $0, nonce: $0) }),
        PeerFrame(
            cluster: ClusterID(rawValue: 0xC1), from: MemberID(rawValue: 2), to: MemberID(rawValue: 1),
            body: .recoveryProbe(id: 3), start: DiskStart(number: 2, nonce: 5)),
        PeerFrame(
            cluster: ClusterID(rawValue: 0xC1), from: MemberID(rawValue: 2), to: MemberID(rawValue: 1),
            body: .recoveryStatus(id: 3, standing(leader: nil)), start: DiskStart(number: 2, nonce: 5),
            earlierStarts: [DiskStart(number: 1, nonce: 7)]),
        frame(.proposal(id: .max, record: Array("{}".utf8))),
        frame(.proposal(id: 0, record: [])),
        frame(.proposalRefused(id: 7, leader: nil)),
        frame(.proposalRefused(id: 7, leader: MemberID(rawValue: 3))),
        frame(.readIndex(id: 9)),
        frame(.readIndexAnswer(id: 9, index: nil)),
        frame(.readIndexAnswer(id: 9, index: .zero)),
        frame(.readIndexAnswer(id: 9, index: LogIndex(rawValue: 44))),
        frame(.recoveryProbe(id: .max)),
        frame(.recoveryStatus(id: 3, standing(leader: nil))),
        frame(.recoveryStatus(id: 3, standing(leader: MemberID(rawValue: 3)))),
        frame(.epoch(.asks)), frame(.epoch(.yours)), frame(.epoch(.over)),
        frame(.handOver(to: nil)), frame(.handOver(to: MemberID(rawValue: 9))), frame(.membersAsked),
        frame(.members(records: Array("[]".utf8))),
        PeerFrame(
            cluster: ClusterID(rawValue: 0xC1), from: MemberID(rawValue: 2), to: MemberID(rawValue: 1),
            epoch: .greatest, body: .epoch(.over)),
    ]
