// Requests of the API and of other members: each is answered once, by its deadline, and what waits is bounded.

import Cluster
import Consensus
import Testing

@testable import Agent

@Suite struct RequestTests {
    /// A member that has never heard of a leader.
    private func alone() -> AgentBench { AgentBench(founds: nil) }

    private func put(_ key: String, _ value: String = "v") -> Command { .put(key: key, value: value, expected: nil) }

    private func isOverloaded(_ response: AgentResponse?) -> Bool {
        if case .failed(.overloaded)? = response { true } else { false }
    }

    private func isRefused(_ response: AgentResponse?) -> Bool {
        if case .failed(.refused)? = response { true } else { false }
    }

    private func isAnswered(_ response: AgentResponse?) -> Bool {
        if case .state? = response { true } else { false }
    }

    // MARK: Rights

    /// Who may not ask leaves nothing in the log; what he is refused with is the state's own word.
    @Test func whoMayNotAskIsTurnedAwayBeforeTheLog() {
        var bench = AgentBench.founder()
        let owner = OperatorRecord(name: "ada", role: .admin, key: "k1", certificateExpires: .max)
        bench.request(.admitOperator(owner))
        let before = bench.core.state.revision
        func ask(_ name: String, _ key: String) -> AgentResponse? {
            let request = bench.newRequest()
            let origin = CommandOrigin(name: name, role: .admin, key: key, needs: .operator, reason: nil)
            bench.turn([
                .request(
                    request,
                    .propose(put("k"), stamp: nil, actor: name, deadline: bench.now + .seconds(2), origin: origin))
            ])
            return bench.responses[request]
        }
        guard case .failed(.forbidden(let words))? = ask("ada", "k2") else {
            Issue.record("the other key was not turned away")
            return
        }
        #expect(words.contains("ada"))
        #expect(bench.core.state.revision == before && bench.core.state.values.isEmpty)
        guard case .outcome(let outcome)? = ask("ada", "k1") else {
            Issue.record("the owner was not let in")
            return
        }
        #expect(outcome.code == .done)
    }

    // MARK: Bounds

    @Test func openCommandsAreBounded() {
        var bench = alone()
        let deadline = bench.now + .seconds(2)
        let requests = (0...Proposals.most).map { _ in bench.newRequest() }
        bench.turn(requests.map { .request($0, .propose(put("k"), stamp: nil, actor: "tester", deadline: deadline)) })
        #expect(bench.responses.count == 1)
        #expect(isOverloaded(bench.responses[requests[Proposals.most]]))
    }

    @Test func openReadsAreBounded() {
        var bench = alone()
        let deadline = bench.now + .seconds(2)
        let requests = (0...ReadRequests.most).map { _ in bench.newRequest() }
        bench.turn(requests.map { .request($0, .read(deadline: deadline)) })
        // One of them is the member's own question, whether its state is current.
        #expect(bench.core.reads.own.count == ReadRequests.most)
        #expect(!bench.responses.contains(requests[0]))
        #expect(isOverloaded(bench.responses[requests[ReadRequests.most]]))
    }

    @Test func readsOfOtherMembersAreBounded() {
        var bench = AgentBench.founder()
        bench.forget()
        bench.turn(
            (0...UInt64(ReadRequests.most)).map {
                .frame(
                    PeerFrame(
                        cluster: AgentBench.cluster, from: AgentBench.peer, to: AgentBench.own, body: .readIndex(id: $0)
                    ))
            })
        let unanswered = bench.sent.filter { if case .readIndexAnswer(_, nil) = $0.body { true } else { false } }
        #expect(unanswered.count == 1)
        #expect(bench.sent.count == ReadRequests.most + 1)
    }

    @Test func aCommandTakesAtMostAMebibyte() {
        var bench = AgentBench.founder()
        let request = bench.request(put("k", String(repeating: "x", count: 1 << 20)))
        bench.run(for: .milliseconds(100))
        #expect(isRefused(bench.responses[request]))
        #expect(bench.core.state.values["k"] == nil)
    }

    // MARK: Deadlines and retries

    @Test func everyRequestIsAnsweredByItsDeadline() {
        var bench = alone()
        let write = bench.request(put("k"))
        let read = bench.read()
        bench.run(for: .milliseconds(1_900))
        #expect(bench.responses.isEmpty)
        bench.run(for: .milliseconds(200))
        for request in [write, read] {
            guard case .failed(.noQuorum(let words))? = bench.responses[request] else {
                Issue.record("\(String(describing: bench.responses[request]))")
                continue
            }
            #expect(words.contains("no leader is known"))
        }
    }

    @Test func aRetryOfARequestUnderWayDoesNotReplaceIt() {
        var bench = alone()
        let stamp = RequestStamp(session: 5, request: 1, settled: 0)
        let first = bench.request(put("k"), stamp: stamp)
        let second = bench.request(put("k"), stamp: stamp)
        #expect(isRefused(bench.responses[second]))
        bench.run(for: .seconds(3))
        #expect(bench.responses[first] != nil)
    }

    /// The outcome of an open request must not be forgotten: its answer may still have to be found by a retry.
    @Test func whatIsOpenIsNotSettled() {
        var proposals = Proposals()
        let first = proposals.stamp(session: 1)
        proposals.add(first, record: [], request: nil, deadline: .distantFuture, now: .distantPast)
        #expect(proposals.stamp(session: 1).settled == 0)
        _ = proposals.finished(first)
        #expect(proposals.stamp(session: 1).settled == 2)
    }

    @Test func whatALeaderLostIsOfferedToTheNext() {
        let lab = TestLab.five()
        let old = lab.leader() ?? 0
        lab.isolate(old)
        let request = lab.request(put("k"), at: old, within: .seconds(20))
        lab.run(for: .seconds(3))
        #expect(lab.nodes[old].responses[request] == nil)
        lab.cuts = []
        lab.run(for: .seconds(3))
        guard case .outcome(let outcome)? = lab.nodes[old].responses[request] else {
            Issue.record("\(String(describing: lab.nodes[old].responses[request]))")
            return
        }
        #expect(outcome.code == .done)
    }

    // MARK: Reads

    /// Its clock stands still while its guest is paused, so a lease proves nothing; a round sent after the read does.
    @Test func aLeaderInAGuestProvesItsLeadForEveryRead() {
        for (kind, atOnce) in [(MemberKind.host, true), (.guest, false)] {
            var bench = AgentBench.founder(kind: kind)
            let read = bench.read()
            #expect(isAnswered(bench.responses[read]) == atOnce)
            bench.turn()
            #expect(isAnswered(bench.responses[read]))
        }
    }

    @Test func aReadIsAnsweredOnlyWhenItsIndexIsApplied() throws {
        let founder = AgentBench.record(AgentBench.peer, "pve2", .host)
        var bench = AgentBench.follower(of: [.bootstrap(clusterName: "home", member: founder), put("k")], commit: 1)
        let read = bench.read()
        let asked = bench.sent.compactMap { if case .readIndex(let id) = $0.body { id } else { nil } }
        bench.frame(.readIndexAnswer(id: try #require(asked.last), index: LogIndex(rawValue: 2)))
        #expect(bench.responses[read] == nil)
        bench.append([], after: 2, commit: 2)
        guard case .state(let state, _)? = bench.responses[read] else {
            Issue.record("\(String(describing: bench.responses[read]))")
            return
        }
        #expect(state.values["k"]?.value == "v")
    }

    // MARK: Other members

    @Test func commandsOfAnotherClusterAreDropped() throws {
        var bench = AgentBench.founder()
        let record = CommandRecord(
            stamp: RequestStamp(session: 5, request: 1, settled: 0), milliseconds: 0, actor: "stranger",
            command: put("k"))
        let proposal = PeerFrame.Body.proposal(id: 1, record: try CanonicalJSON.encode(record))
        bench.frame(proposal, cluster: ClusterID(rawValue: 5))
        bench.run(for: .milliseconds(100))
        #expect(bench.core.state.values["k"] == nil)
        bench.frame(proposal)
        bench.run(for: .milliseconds(100))
        #expect(bench.core.state.values["k"] != nil)
    }
}
