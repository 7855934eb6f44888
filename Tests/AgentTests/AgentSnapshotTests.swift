// Whole agents with snapshots: logs that do not grow, members that were away or are new, requests that a snapshot skips.

import Agent
import Cluster
import Consensus
import Testing

@Suite struct AgentSnapshotTests {
    /// Three members whose snapshots are due every ten entries.
    private static func lab() -> TestLab {
        let lab = TestLab(seed: 3)
        lab.snapshots = SnapshotPolicy(entries: 10)
        _ = lab.add("pve1", .host, founds: "home")
        lab.run(for: .milliseconds(100))
        for (name, kind) in [("pve2", MemberKind.host), ("witness", .witness)] { _ = lab.join(name, kind) }
        lab.run(for: .seconds(2))
        return lab
    }

    private static func put(_ count: Int, in lab: TestLab, at index: Int? = nil) {
        for number in 0..<count { lab.must(.put(key: "k\(number % 7)", value: "v\(number)", expected: nil), at: index) }
    }

    @Test func aLogDoesNotGrowWithoutEnd() {
        let lab = Self.lab()
        Self.put(60, in: lab)
        for node in lab.nodes {
            #expect(node.core.raft.log.base > LogIndex(rawValue: 20))
            #expect(node.entries.count < 45)
            #expect(node.entries.first?.index == node.core.raft.log.base.next)
        }
    }

    @Test func snapshotsOfOneEntryAreTheSameBytesOnAllMembers() {
        let lab = Self.lab()
        Self.put(45, in: lab)
        lab.run(for: .seconds(1))
        let newest = lab.nodes.map(\.snapshots.last)
        #expect(newest[0] != nil)
        #expect(newest[1] == newest[0])
        #expect(newest[2] == newest[0])
    }

    @Test func aMemberThatWasAwayTooLongIsGivenASnapshot() {
        let lab = Self.lab()
        lab.kill(2)
        Self.put(60, in: lab, at: 0)
        lab.restart(2)
        lab.run(for: .seconds(3))
        #expect(lab.nodes[2].core.state == lab.nodes[0].core.state)
        #expect(lab.nodes[2].core.applied == lab.nodes[0].core.applied)
    }

    @Test func aNewMemberBeginsWithASnapshot() {
        let lab = Self.lab()
        Self.put(60, in: lab)
        let index = lab.join("cp1", .guest, host: "pve1")
        lab.run(for: .seconds(3))
        #expect(lab.nodes[index].core.state == lab.nodes[0].core.state)
        #expect(lab.nodes[index].entries.first.map { $0.index > LogIndex(rawValue: 20) } == true)
    }

    @Test func aRestartGoesOnFromSnapshotAndLog() {
        let lab = Self.lab()
        Self.put(33, in: lab)
        lab.kill(1)
        lab.restart(1)
        #expect(lab.nodes[1].core.applied > .zero)
        lab.run(for: .seconds(2))
        #expect(lab.nodes[1].core.state == lab.nodes[0].core.state)
    }

    /// The command was carried out while its member was cut off; the entry is in no log any more when it comes back.
    @Test func aCommandWhoseEntryASnapshotSkipsIsAnsweredFromTheSessions() {
        var bench = AgentBench.follower(of: [], commit: 0)
        let stamp = RequestStamp(session: 99, request: 1, settled: 0)
        let request = bench.request(.put(key: "k", value: "v", expected: nil), stamp: stamp)
        #expect(bench.responses[request] == nil)
        var state = ClusterState()
        let record = CommandRecord(
            stamp: stamp, milliseconds: 0, actor: "tester", command: .put(key: "k", value: "v", expected: nil))
        let outcome = state.apply(record)
        bench.install(state, through: 50)
        guard case .outcome(outcome)? = bench.responses[request] else {
            Issue.record("answered by \(String(describing: bench.responses[request]))")
            return
        }
        #expect(bench.core.applied == LogIndex(rawValue: 50))
    }

    /// The disk is at work on one of each kind.
    @Test func anOwnSnapshotDoesNotTakeAnArrivingOnesPlace() {
        let put = Command.put(key: "k", value: "v", expected: nil)
        var bench = AgentBench.follower(of: [put, put, put], commit: 3)
        let configuration = Configuration(voters: [AgentBench.peer, AgentBench.own])
        func snapshot(_ index: UInt64) -> Snapshot {
            let mark = SnapshotMark(
                index: LogIndex(rawValue: index), term: Term(rawValue: 1), configuration: configuration)
            return Snapshot(mark: mark, bytes: ClusterState().encoded)
        }
        bench.receive(snapshot(50))
        bench.turn([.snapshotStored(snapshot(2), dropThrough: .zero)])
        bench.turn([.snapshotStored(snapshot(50), dropThrough: LogIndex(rawValue: 50))])
        #expect(bench.core.applied == LogIndex(rawValue: 50))
    }

    /// While the disk stores what arrived, another leader sends the same entries, without having said yet that they are
    /// committed: the snapshot says so, and it must not take them out of the log before they are applied.
    @Test func entriesThatCameAnotherWayAreAppliedBeforeTheyAreDropped() {
        var bench = AgentBench.follower(of: [], commit: 0)
        let puts = (1...6).map { Command.put(key: "k\($0)", value: "v", expected: nil) }
        var other = AgentBench.follower(of: puts, commit: 6)
        other.turn()
        let mark = SnapshotMark(
            index: LogIndex(rawValue: 6), term: Term(rawValue: 1),
            configuration: Configuration(voters: [AgentBench.peer, AgentBench.own]))
        bench.receive(Snapshot(mark: mark, bytes: other.core.state.encoded))
        bench.append(puts, after: 0, commit: 0)
        #expect(bench.core.applied == .zero)
        guard let arrived = bench.stored.last else {
            Issue.record("nothing arrived")
            return
        }
        bench.turn([.snapshotStored(arrived, dropThrough: mark.index)])
        #expect(bench.core.applied == mark.index)
        #expect(bench.core.state == other.core.state)
    }

    @Test func aSnapshotThatIsNotUnderstoodIsNotStored() {
        var bench = AgentBench.follower(of: [], commit: 0)
        let mark = SnapshotMark(
            index: LogIndex(rawValue: 50), term: Term(rawValue: 1),
            configuration: Configuration(voters: [AgentBench.peer]))
        bench.receive(Snapshot(mark: mark, bytes: Array("garbage".utf8)))
        #expect(bench.stored.isEmpty)
        #expect(bench.core.applied == .zero)
    }

    @Test func eventsOfASnapshotArePublishedOnce() {
        let lab = Self.lab()
        lab.kill(2)
        lab.declareAddress("dns", "192.168.1.2", candidates: ["pve1", "pve2"])
        Self.put(60, in: lab, at: 0)
        lab.restart(2)
        lab.run(for: .seconds(3))
        let ids = lab.nodes[2].published
        #expect(ids == ids.sorted())
        #expect(Set(ids).count == ids.count)
        #expect(ids.last == lab.nodes[0].core.state.lastEventID)
    }

    /// While snapshots fail the log grows until the disk is full, so somebody has to be told.
    @Test func aSnapshotThatWasNotKeptIsKnownUntilOneIs() {
        let lab = TestLab()
        lab.snapshots = SnapshotPolicy(entries: 10)
        _ = lab.add("pve1", .host, founds: "home")
        lab.run(for: .seconds(1))
        lab.turn(0, [.snapshotFailed(LogIndex(rawValue: 1), "the disk is full")])
        #expect(lab.nodes[0].core.view(now: lab.now).snapshotProblem == "the disk is full")
        for number in 0..<20 { lab.must(.put(key: "k", value: "\(number)", expected: nil)) }
        lab.run(for: .seconds(1))
        #expect(lab.nodes[0].core.view(now: lab.now).snapshotProblem == nil)
    }
}
