// Members that have the log still before them: what they do with an old state, and with answers to an earlier life.

import Cluster
import Consensus
import Testing

@testable import Agent

/// More than one append carries, so that the state of a new member passes through the past.
private func makeLongHistory(_ lab: TestLab) {
    let long = String(repeating: "v", count: 300_000)
    for number in 0..<4 { lab.must(.put(key: "k\(number)", value: long, expected: nil)) }
}

@Test func aMemberThatCatchesUpKeepsALeaderItsStateDoesNotKnowYet() {
    let lab = TestLab.five()
    makeLongHistory(lab)
    _ = lab.join("pve3", .host)
    let late = lab.join("pve4", .host)
    lab.run(for: .seconds(2))
    _ = lab.transferLeadership(to: late)
    lab.run(for: .seconds(1))
    #expect(lab.leader() == late)
    // Everybody else knows the leader; the newest member's first entries are from long before it.
    let newest = lab.join("cp3", .guest, host: "pve1")
    lab.run(for: .seconds(2))
    #expect(lab.leader() == late)
    #expect(lab.nodes[newest].core.applied == lab.nodes[late].core.applied)
    #expect(lab.nodes[newest].peers?.contains(lab.id(late)) == true)
}

@Test func aMemberLearnsThatItsPeersWereRemovedWhileItWasAway() {
    let lab = TestLab(seed: 3)
    let first = lab.add("pve1", .host, founds: "home")
    lab.run(for: .milliseconds(100))
    let guest = lab.join("cp1", .guest, host: "pve1")
    lab.run(for: .seconds(1))
    lab.kill(guest)
    lab.must(.removeMember(lab.id(guest)), at: first)
    lab.kill(first)
    // As after a start from a list that was written before the removal.
    lab.nodes[first].peers = [lab.id(guest)]
    lab.restart(first)
    lab.run(for: .seconds(1))
    #expect(lab.nodes[first].peers == [])
}

/// The name of the cluster it founded is still beside its log, which is gone.
@Test func aFounderWithoutItsLogFoundsNoSecondCluster() {
    let record = MemberRecord(
        id: MemberID(rawValue: 1), name: "pve1", kind: .host, peerEndpoint: "pve1:7400", apiEndpoint: "pve1:7443",
        version: "1")
    func term(of memory: Memory) -> Term {
        var now = Instant(nanoseconds: 1_000_000_000)
        var core = AgentCore(
            setup: AgentSetup(cluster: TestLab.cluster, record: record, founds: "home", session: 1),
            hardState: HardState(memory: memory), entries: [], now: now)
        var random = SplitMix64(state: 1)
        for _ in 0..<20 {
            now = now + .seconds(1)
            _ = core.handle([.tick], now: now, wallMilliseconds: 0, random: &random)
        }
        return core.raft.term
    }
    #expect(term(of: .whole) > .zero)
    #expect(term(of: .lost) == .zero)
    #expect(term(of: .incomplete) == .zero)
}

/// The answer to an earlier process lay in a peer's queue while this member was down. It tells of a moment before the
/// read that would take it for its own.
@Test func anAnswerToAnEarlierProcessAnswersNoReadOfThisOne() {
    func firstReadID(session: UInt64) -> UInt64? {
        let record = MemberRecord(
            id: MemberID(rawValue: 1), name: "pve1", kind: .host, peerEndpoint: "pve1:7400", apiEndpoint: "pve1:7443",
            version: "1")
        let now = Instant(nanoseconds: 1_000_000_000)
        var core = AgentCore(
            setup: AgentSetup(cluster: TestLab.cluster, record: record, founds: nil, session: session),
            hardState: HardState(), entries: [], now: now)
        var random = SplitMix64(state: 1)
        let leader = MemberID(rawValue: 2)
        let heartbeat = Envelope(
            cluster: TestLab.cluster, from: leader, to: record.id, term: Term(rawValue: 1),
            message: .heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: .zero)))
        let events: [AgentEvent] = [
            .frame(PeerFrame(heartbeat)),
            .request(RequestID(rawValue: 1), .read(deadline: now + .seconds(1))),
        ]
        let effects = core.handle(events, now: now, wallMilliseconds: 0, random: &random)
        return effects.compactMap { effect -> UInt64? in
            guard case .send(let frame) = effect, case .readIndex(let id) = frame.body else { return nil }
            return id
        }.last
    }
    let first = firstReadID(session: 0x1234)
    #expect(first != nil)
    #expect(first != firstReadID(session: 0x5678))
}

/// While it was away a host that it has never heard of has come to lead, and is not on its list: it would turn it away for
/// ever.
@Test func aMemberThatWasAwayFollowsALeaderItNeverHeardOf() {
    let lab = TestLab.five()
    lab.run(for: .seconds(2))
    let witness = lab.index(of: "witness")
    lab.kill(witness)
    let newcomer = lab.join("pve3", .host)
    lab.run(for: .seconds(3))
    #expect(lab.nodes[witness].peers?.contains(lab.id(newcomer)) == false)
    // Two more voters make an odd number.
    _ = lab.join("pve4", .host)
    lab.run(for: .seconds(5)) { lab.nodes[newcomer].core.raft.isVoter }
    lab.run(for: .seconds(2))
    #expect(lab.leader() == 0)
    if lab.leader() != nil { _ = lab.transferLeadership(to: newcomer) }
    lab.run(for: .seconds(2)) { lab.leader() == newcomer }
    #expect(lab.leader() == newcomer)
    lab.restart(witness)
    lab.run(for: .seconds(5))
    #expect(lab.leader() == newcomer)
    #expect(lab.nodes[witness].core.raft.leader == lab.id(newcomer))
    #expect(lab.nodes[witness].core.state == lab.nodes[newcomer].core.state)
}

/// Its name file says that it founded the cluster, and its log, which would say what became of it, is gone.
@Test func aFounderThatLostItsLogCountsNobodyAsAVoter() {
    var bench = AgentBench(founds: "home", hardState: HardState(memory: .lost))
    bench.run(for: .seconds(5))
    #expect(bench.core.raft.configuration.voters.isEmpty)
    #expect(!bench.core.raft.isLeader && bench.core.state.clusterName.isEmpty)
}
