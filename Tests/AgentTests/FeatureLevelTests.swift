// Versions side by side: when the level in force is raised, and what becomes of a member that does not understand it.

@testable import Agent
import Cluster
import Consensus
import Testing

/// What this version understands, and what the next one would.
private let present = FeatureLevel.newest
private let next = FeatureLevel.newest + 1

extension TestLab {
    /// Another version on a member's disk; it restarts into it.
    fileprivate func install(level: UInt64, on index: Int) {
        kill(index)
        nodes[index].setup.record.version = "\(level).0.0"
        nodes[index].setup.record.level = level
        restart(index)
    }

    fileprivate func level(_ index: Int) -> UInt64 { nodes[index].core.state.level }
}

/// A command of a later version in a cluster that has not agreed on it: as bytes, since this version has none.
private func laterCommand(level: UInt64, request: UInt64) -> [UInt8] {
    Array(
        """
        {"actor":"tester","command":{"unheardOf":{}},"level":\(level),"milliseconds":1,\
        "stamp":{"request":\(request),"session":9,"settled":0}}
        """.utf8)
}

@Test func theLevelIsRaisedWhenTheLastMemberUnderstandsIt() {
    let lab = TestLab.five()
    #expect(lab.nodes.indices.allSatisfy { lab.level($0) == present })
    for index in lab.nodes.indices {
        #expect(lab.level(lab.leader()!) == present)
        lab.install(level: next, on: index)
        lab.run(for: .seconds(3))
    }
    #expect(lab.nodes.indices.allSatisfy { lab.level($0) == next })
    #expect(lab.nodes.allSatisfy { $0.halted == nil })
}

@Test func aMemberThatIsAwayHoldsTheLevelUp() {
    let lab = TestLab.five()
    let away = lab.index(of: "cp2")
    lab.kill(away)
    for index in lab.nodes.indices where index != away {
        lab.install(level: next, on: index)
        lab.run(for: .seconds(2))
    }
    #expect(lab.level(lab.leader()!) == present)
    // It comes back as it was and takes part.
    lab.restart(away)
    lab.run(for: .seconds(2))
    #expect(lab.nodes[away].halted == nil)
    lab.install(level: next, on: away)
    lab.run(for: .seconds(3))
    #expect(lab.level(away) == next)
}

@Test func aMemberThatWasLeftBehindStopsWithWordsAndGoesOnWhenUpgraded() {
    let lab = TestLab.five()
    let away = lab.index(of: "pve2")
    lab.kill(away)
    for index in lab.nodes.indices where index != away {
        lab.install(level: next, on: index)
        lab.run(for: .seconds(2))
    }
    // What the leader does by itself after an hour, an admin may do now.
    lab.must(.raiseLevel(to: next, without: [lab.id(away)]))
    let before = lab.nodes[away].core.state
    lab.restart(away)
    lab.run(for: .seconds(3))
    let words = lab.nodes[away].halted ?? ""
    #expect(words.contains("feature level \(next) is in force") && words.contains("install here"), "\(words)")
    // It has stopped at the entry that raised the level: nothing beyond was applied.
    #expect(lab.nodes[away].core.state.revision >= before.revision)
    lab.must(.put(key: "later", value: "v", expected: nil))
    lab.nodes[away].halted = nil
    lab.install(level: next, on: away)
    lab.run(for: .seconds(3))
    #expect(lab.nodes[away].halted == nil)
    #expect(lab.nodes[away].core.state.values["later"]?.value == "v")
    #expect(lab.nodes[away].core.state == lab.nodes[lab.leader()!].core.state)
}

@Test func anEntryOfALaterVersionStopsAMemberBeforeItAppliesAnything() {
    let lab = TestLab.five()
    let leader = lab.leader()!
    let revision = lab.nodes[leader].core.state.revision
    // As a leader of that version would.
    _ = lab.nodes[leader].core.raft.propose([laterCommand(level: 7, request: 1)], now: lab.now)
    lab.turn(leader, [.tick])
    lab.run(for: .seconds(5))
    // Whoever learns that it is committed stops; too few are left then to tell the others.
    #expect(lab.nodes.count { $0.halted?.contains("needs feature level 7") == true } >= 2)
    #expect(lab.nodes.allSatisfy { $0.core.state.revision == revision || $0.halted == nil })
    #expect(lab.nodes.allSatisfy { !$0.core.state.events.contains { $0.actor == "tester" && $0.revision > revision } })
}

@Test func aLeaderTakesNoCommandOfALaterVersionFromAPeer() {
    let lab = TestLab.five()
    let leader = lab.leader()!
    let last = lab.nodes[leader].core.raft.log.lastIndex
    lab.turn(
        leader,
        [
            .frame(
                PeerFrame(
                    cluster: TestLab.cluster, from: lab.id(2), to: lab.id(leader),
                    body: .proposal(id: 1, record: laterCommand(level: 7, request: 1))))
        ])
    #expect(lab.nodes[leader].core.raft.log.lastIndex == last)
    lab.run(for: .seconds(1))
    #expect(lab.nodes.allSatisfy { $0.halted == nil })
}

@Test func whatIsNoCommandOfAnyVersionChangesNothing() {
    let lab = TestLab.five()
    let leader = lab.leader()!
    for bytes in [[], Array("{}".utf8), laterCommand(level: 1, request: 1), [0xFF, 0]] as [[UInt8]] {
        lab.turn(
            leader,
            [
                .frame(
                    PeerFrame(
                        cluster: TestLab.cluster, from: lab.id(2), to: lab.id(leader),
                        body: .proposal(id: 1, record: bytes)))
            ])
    }
    lab.run(for: .seconds(1))
    #expect(lab.nodes.allSatisfy { $0.halted == nil })
    lab.must(.put(key: "a", value: "b", expected: nil))
}

@Test func aHaltedMemberIsSilent() {
    let lab = TestLab.five()
    let index = lab.index(of: "witness")
    var core = lab.nodes[index].core
    core.halted = "words"
    let first = core.handle([.tick], now: lab.now, wallMilliseconds: 0, random: &lab.random)
    #expect(first.count == 1)
    guard case .halt("words")? = first.first else {
        Issue.record("\(first)")
        return
    }
    let later = lab.now + .seconds(100)
    #expect(core.handle([.tick, .stop], now: later, wallMilliseconds: 0, random: &lab.random).isEmpty)
    #expect(core.nextDeadline == .distantFuture)
}
