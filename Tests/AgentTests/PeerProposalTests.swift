// Commands that other members forward to the leader.

import Agent
import Cluster
import Consensus
import Testing

/// An entry that fits into no frame could be sent to nobody, and nothing behind it could ever be committed.
@Test func aForwardedCommandThatIsTooLargeNeverReachesTheLog() {
    let lab = TestLab.five()
    let leader = lab.leader()!
    let before = lab.nodes[leader].core.raft.log.lastIndex
    let record = [UInt8](repeating: UInt8(ascii: " "), count: (1 << 20) + 1)
    let frame = PeerFrame(
        cluster: TestLab.cluster, from: lab.id(leader + 1), to: lab.id(leader), body: .proposal(id: 7, record: record))
    lab.turn(leader, [.frame(frame)])
    #expect(lab.nodes[leader].core.raft.log.lastIndex == before)
    lab.must(.put(key: "k", value: "v", expected: nil))
}
