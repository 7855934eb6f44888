// Members that a forced recovery went on without: their certificates are good for years, and their disks may be in anybody's
// hands. They are told that their epoch is over, and have no say in anything.

import Agent
import Cluster
import Consensus
import Testing

/// pve1 and a guest, recovered without the others, who are down.
private func recovered() -> TestLab {
    let lab = TestLab.five()
    for name in ["pve2", "witness", "cp2"] { lab.kill(lab.index(of: name)) }
    lab.run(for: .seconds(15))
    let request = RequestID(rawValue: 900)
    let dead = ["pve2", "witness", "cp2"].map { lab.id(lab.index(of: $0)) }
    lab.turn(0, [.request(request, .recover(without: dead, actor: "ada", origin: nil))])
    lab.run(for: .seconds(10)) { lab.nodes[0].responses[request] != nil }
    lab.run(for: .seconds(2))
    #expect(lab.leader() == 0)
    return lab
}

private extension TestLab {
    var survivor: AgentCore { nodes[0].core }

    func frame(
        _ body: PeerFrame.Body, from name: String = "witness", epoch: Epoch? = nil
    ) -> PeerFrame {
        PeerFrame(
            cluster: Self.cluster, from: id(index(of: name)), to: id(0), epoch: epoch ?? survivor.raft.epoch, body: body
        )
    }

    /// What the survivor would do with a frame, without doing it.
    func effects(of frame: PeerFrame) -> (core: AgentCore, sent: [PeerFrame], others: [AgentEffect]) {
        var core = survivor
        var random = SplitMix64(state: 5)
        let effects = core.handle([.frame(frame)], now: now, wallMilliseconds: 0, random: &random)
        let sent = effects.compactMap { if case .send(let sent) = $0, sent.to == frame.from { sent } else { nil } }
        let others = effects.filter { if case .send = $0 { false } else { true } }
        return (core, sent, others)
    }
}

/// The thief writes the epoch on it, which every refusal tells him.
@Test func whoWasLeftBehindChangesNothing() {
    let lab = recovered()
    let key = OperatorRecord(name: "mallory", role: .admin, key: "k", certificateExpires: .max)
    let record = CommandRecord(
        stamp: RequestStamp(session: 66, request: 1, settled: 0), milliseconds: 0, actor: "mallory",
        command: .admitOperator(key))
    let last = lab.survivor.raft.log.lastIndex
    lab.turn(0, [.frame(lab.frame(.proposal(id: 7, record: record.encoded()!)))])
    #expect(lab.survivor.raft.log.lastIndex == last)
    lab.run(for: .seconds(1))
    #expect(lab.survivor.state.operators["mallory"] == nil)

    let term = lab.survivor.raft.term
    for body in [
        PeerFrame.Body.consensus(
            term.next, .voteRequest(VoteRequest(lastIndex: last, lastTerm: term, byTransfer: true))),
        .consensus(term.next, .heartbeat(Heartbeat(round: 1, promise: .seconds(60), commit: last))),
        .consensus(
            term.next, .appendRequest(AppendRequest(previousIndex: last, previousTerm: term, entries: [], commit: last))
        ),
        .readIndex(id: 3), .membersAsked, .handOver(to: nil), .recoveryProbe(id: 4), .epoch(.yours),
    ] {
        let (core, sent, _) = lab.effects(of: lab.frame(body))
        #expect(core.raft.term == term && core.raft.isLeader, "\(body)")
        #expect(core.raft.leadership?.transfer == nil, "\(body)")
        #expect(sent.isEmpty, "\(body) was answered by \(sent)")
    }
    #expect(lab.leader() == 0)
}

@Test func whoWasLeftBehindIsToldSo() {
    let lab = recovered()
    for body in [PeerFrame.Body.epoch(.asks), .recoveryProbe(id: 4), .membersAsked] {
        #expect(lab.effects(of: lab.frame(body, epoch: .first)).sent.map(\.body) == [.epoch(.over)], "\(body)")
    }
    // Another recovery, apart from this one, has begun a later epoch.
    let later = lab.survivor.raft.epoch.next(drawn: 1)
    let ends = lab.effects(of: lab.frame(.epoch(.over), epoch: later)).others.contains {
        if case .failed(let why) = $0 { why.contains("recovered without this member") } else { false }
    }
    #expect(ends)
}

/// The disk is in somebody's hands, or the machine will not come back.
@Test func whoWasLeftBehindIsRemovedLikeAMember() {
    let lab = recovered()
    let witness = lab.id(lab.index(of: "witness"))
    #expect(lab.survivor.state.level == 2)
    #expect(lab.nodes[0].peers?.contains(witness) == true)
    lab.must(.removeMember(witness), at: 0)
    #expect(lab.survivor.state.leftBehind.values.map(\.name).sorted() == ["cp2", "pve2"])
    #expect(lab.nodes[0].peers?.contains(witness) == false)
    #expect(lab.survivor.state.events.contains { $0.type == "MemberRemoved" && $0.subject == "member/witness" })
}

/// It begins in the first epoch, and may be heard of before the configuration has followed the state.
@Test(arguments: [true, false]) func aNewcomerIsNotToldThatItWasLeftBehind(isApplied: Bool) throws {
    let lab = recovered()
    let core = lab.survivor
    var state = core.state
    for command in [
        Command.createToken(JoinToken(id: "t", secretHash: "h", kind: .host, expiresMilliseconds: .max)),
        .join(
            tokenID: "t", secretHash: "h",
            member: MemberRecord(
                id: MemberID(rawValue: 77), name: "pve7", kind: .host, peerEndpoint: "a:1", apiEndpoint: "a:2",
                version: "1")),
    ] {
        let stamp = RequestStamp(session: 5, request: state.revision, settled: 0)
        let record = CommandRecord(stamp: stamp, milliseconds: 0, actor: "tester", command: command)
        #expect(state.apply(record).succeeded)
    }
    // Not applied: a state of before the recovery names members that are dead now.
    let epoch = isApplied ? core.raft.epoch : core.raft.epoch.next(drawn: 1)
    let mark = SnapshotMark(
        index: core.raft.commitIndex, term: core.raft.log.lastTerm,
        configuration: Configuration(voters: [lab.id(0)], epoch: epoch))
    var follower = AgentCore(
        setup: lab.nodes[0].setup, hardState: HardState(term: core.raft.term, epoch: epoch),
        restored: try RestoredState(Snapshot(mark: mark, bytes: state.encoded)), entries: [], now: lab.now)
    var random = SplitMix64(state: 5)
    let frame = PeerFrame(
        cluster: TestLab.cluster, from: MemberID(rawValue: 77), to: lab.id(0), epoch: .first, body: .membersAsked)
    let effects = follower.handle([.frame(frame)], now: lab.now, wallMilliseconds: 0, random: &random)
    let words = effects.compactMap { effect -> EpochWord? in
        guard case .send(let sent) = effect, sent.to == frame.from, case .epoch(let word) = sent.body else {
            return nil
        }
        return word
    }
    #expect(words == [isApplied ? .yours : .over])
}
