// Decisions of a leader live and die with the step they were made in.
// The lab is looked at after every event, while leaders come and go.

import Cluster
import Consensus
import Testing

@testable import Agent

private let api = ResourceKey(kind: "VirtualIP", name: "api")

/// The open proposals of all members that give a role to somebody or say who is there.
private func keptDecisions(_ lab: TestLab) -> [Command] {
    lab.nodes.filter(\.isUp).flatMap { node in
        node.core.proposals.open.values.compactMap { proposal -> Command? in
            guard let record = try? CanonicalJSON.decode(CommandRecord.self, from: proposal.record) else { return nil }
            switch record.command {
            case .assign, .vacate, .release, .observeMember: return record.command
            default: return nil
            }
        }
    }
}

/// Such a decision rests on the lease table of the leader that made it. Kept for a retry it could reach the next
/// leader after that one has given the old holder a fresh lease.
@Test func aDecisionIsNeverKeptForALaterLeader() {
    let lab = TestLab.five()
    lab.declareAddress("api", "192.168.1.99", candidates: ["cp1", "cp2"])
    lab.run(for: .seconds(1))
    var kept: [Command] = []
    func watch(_ length: Interval) {
        lab.run(for: length) {
            kept += keptDecisions(lab); return false
        }
    }
    lab.kill(lab.index(of: "cp1"))
    watch(.seconds(1))
    lab.restart(lab.index(of: "cp1"))
    watch(.seconds(1))
    lab.isolate(lab.leader()!)
    watch(.seconds(2))
    lab.cuts = []
    watch(.seconds(2))
    #expect(kept.isEmpty, "\(kept.prefix(3))")
    #expect(lab.owners(api).count == 1)
    #expect(lab.mostOwners == 1)
}

/// The old leader decides to move the address of a holder it lost, and is itself cut off before a majority has the
/// entry; the holder is back under the new leader at once.
@Test(arguments: 1...40 as ClosedRange<UInt64>)
func aLeaderCutOffInTheMiddleOfADecisionMovesNothingLater(seed: UInt64) {
    let lab = TestLab.five(seed: seed)
    lab.declareAddress("api", "192.168.1.99", candidates: ["cp1", "cp2"])
    lab.run(for: .seconds(1))
    let cp1 = lab.index(of: "cp1")
    let old = lab.leader()!
    lab.pause(cp1)
    lab.run(for: .milliseconds(200 + Int64(seed) * 5))
    for other in lab.nodes.indices where other != old { lab.cuts.insert([old, other]) }
    lab.resume(cp1)
    lab.run(for: .seconds(2))
    lab.cuts = []
    lab.run(for: .seconds(3))
    #expect(lab.owners(api).count == 1)
    #expect(lab.mostOwners == 1)
}

/// Nobody takes its vote from a leader, so one that was removed has to let go by itself.
@Test func aRemovedLeaderHandsOverAndVotesNoMore() {
    let lab = TestLab.five()
    lab.run(for: .seconds(3))
    let old = lab.leader()!
    lab.must(.removeMember(lab.id(old)))
    lab.run(for: .seconds(5))
    let new = lab.leader()!
    #expect(new != old)
    #expect(!lab.nodes[new].core.raft.configuration.contains(lab.id(old)))
}

/// A new leader gives everybody time for a first word; to a member that was lost before, that word must come.
@Test func aNewLeaderBringsNobodyBackBeforeItHeardOfHim() {
    let lab = TestLab.five()
    lab.run(for: .seconds(3))
    let old = lab.leader()!
    let lost = lab.index(of: "cp1")
    lab.kill(lost)
    lab.run(for: .seconds(2))
    #expect(lab.nodes[old].core.state.members[lab.id(lost)]?.reachable == false)
    let next = lab.index(of: old == lab.index(of: "pve1") ? "pve2" : "pve1")
    _ = lab.transferLeadership(to: next)
    var cameBack = false
    lab.run(for: .seconds(2)) {
        cameBack = cameBack || lab.nodes[next].core.state.members[lab.id(lost)]?.reachable == true
        return false
    }
    #expect(lab.leader() == next)
    #expect(!cameBack)
}
