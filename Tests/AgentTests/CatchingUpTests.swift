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
