// The rotation of the authority, driven by the leader and followed by everybody.

@testable import Agent
import Cluster
import Consensus
import Testing

private let old = AuthorityRecord(pin: String(repeating: "a", count: 64), certificate: "old")
private let new = AuthorityRecord(pin: String(repeating: "b", count: 64), certificate: "new")
private let begin = Command.rotateAuthority(
    AuthorityRotation.Plan(old: old, new: new, link: "link", graceMilliseconds: 60_000))

@Test func theWholeClusterGoesToAnotherAuthority() {
    let lab = TestLab.five()
    lab.must(begin)
    lab.run(for: .seconds(5))
    #expect(lab.nodes.allSatisfy { $0.core.state.rotation == nil && $0.core.state.authority == new })
    #expect(lab.nodes.allSatisfy { $0.core.followedAuthorities?.trusted == [new] })
}

@Test func aMemberThatIsAwayKeepsTheOldAuthorityTrustedUntilItIsBack() {
    let lab = TestLab.five()
    let away = lab.index(of: "cp2")
    lab.must(begin)
    lab.kill(away)
    lab.run(for: .seconds(20))
    let leader = lab.leader()!
    // It said that it trusts the new one before it went, or is waited for.
    #expect(lab.nodes[leader].core.state.rotation != nil)
    #expect(lab.nodes[leader].core.state.authorityBook?.trusted.contains(old) == true)
    lab.restart(away)
    lab.run(for: .seconds(10))
    #expect(lab.nodes.allSatisfy { $0.core.state.authority == new && $0.core.state.rotation == nil })
}

@Test func aNewLeaderGoesOnWithIt() {
    let lab = TestLab.five()
    let first = lab.leader()!
    lab.must(begin)
    lab.kill(first)
    lab.run(for: .seconds(10))
    #expect(lab.leader() != nil && lab.leader() != first)
    lab.restart(first)
    lab.run(for: .seconds(10))
    #expect(lab.nodes.allSatisfy { $0.core.state.authority == new && $0.core.state.rotation == nil })
}

@Test func aMemberIsToldOnceOfEachStep() {
    var bench = AgentBench.founder()
    bench.turn([.identityChanged(IdentityNews(expires: 9, signedBy: old.pin))])
    bench.run(for: .seconds(1))
    #expect(bench.books.isEmpty)
    bench.turn([
        .request(bench.newRequest(), .propose(begin, stamp: nil, actor: "a", deadline: bench.now + .seconds(5)))
    ])
    bench.run(for: .seconds(2))
    #expect(bench.books.map(\.trusted) == [[old, new]])
    bench.turn([.identityChanged(IdentityNews(expires: 9, signedBy: old.pin, preparedFor: new.pin))])
    bench.run(for: .seconds(2))
    #expect(bench.books.map(\.trusted) == [[old, new], [new, old]])
    bench.turn([.identityChanged(IdentityNews(expires: 10, signedBy: new.pin, preparedFor: new.pin))])
    bench.run(for: .seconds(2))
    #expect(bench.books.map(\.trusted) == [[old, new], [new, old], [new]])
}
