// A snapshot on its way to a member that lacks more than the log holds, cut once at each of its parts, in each way it can be
// cut. Whatever was lost, the member ends with the same bytes as everybody. Faults in any order are in RandomScheduleTests.

import Consensus
import Testing

@Suite struct SnapshotCutTests {
    enum Cut: CaseIterable {
        /// The part is lost, and for a second everything else between the member and the others.
        case wire
        /// The part arrives, its answer is lost, and for a second everything else.
        case answer
        /// The member that receives dies, and forgets what it had.
        case receiver
        /// The leader dies with the part on its way; another one goes on.
        case leader
    }

    /// What passed on the way to member 3.
    private final class Way {
        let cut: Cut
        /// Which part is cut.
        let offset: Int
        private(set) var isCut = false
        /// Offsets of the parts that were sent, before and after.
        private(set) var before: Set<Int> = []
        private(set) var after: Set<Int> = []

        init(_ cut: Cut, at offset: Int) {
            self.cut = cut
            self.offset = offset
        }

        func fate(_ envelope: Envelope) -> TestNetwork.Fate {
            switch envelope.message {
            case .snapshotChunk(let chunk):
                if isCut { after.insert(chunk.offset) } else { before.insert(chunk.offset) }
                return decide(cut != .answer && chunk.offset == offset)
            case .snapshotReply(let reply): return decide(cut == .answer && reply.offset == offset)
            default: return .deliver
            }
        }

        private func decide(_ isHere: Bool) -> TestNetwork.Fate {
            guard isHere, !isCut else { return .deliver }
            isCut = true
            return .drop
        }
    }

    private static let chunkBytes = 16

    /// Members 1 and 2 have dropped from their logs what member 3 lacks.
    private func cluster() -> TestCluster {
        var limits = Limits()
        limits.snapshotChunkBytes = Self.chunkBytes
        var cluster = TestCluster(voters: 3, limits: limits)
        cluster.snapshotEvery = 10
        cluster.establish(leader: 1)
        cluster.network.isolate([3])
        for value in 1...40 {
            cluster.propose(UInt64(value), at: 1)
            cluster.run(for: .milliseconds(20))
        }
        cluster.run(for: .seconds(1))
        let missing = cluster.raft(3).log.lastIndex.next
        for number in 1...2 { #expect(cluster.raft(number).log.base >= missing) }
        return cluster
    }

    private func strike(_ way: Way, _ cluster: inout TestCluster) {
        switch way.cut {
        case .wire, .answer:
            cluster.network.isolate([3])
            cluster.run(for: .seconds(1))
            cluster.network.heal()
        case .receiver:
            cluster.crash(3)
            cluster.restart(3)
        case .leader:
            cluster.crash(1)
            let isReplaced = cluster.run(within: .seconds(10)) { $0.settledLeader == 2 }
            #expect(isReplaced)
            cluster.restart(1)
        }
    }

    /// Cuts one transfer; false when it had no such part.
    private func transfer(_ cut: Cut, at offset: Int, from start: TestCluster) -> Bool {
        var cluster = start
        let way = Way(cut, at: offset)
        cluster.network.fate = { way.fate($0) }
        cluster.network.heal()
        _ = cluster.run(within: .seconds(20)) { way.isCut || $0.hasConverged }
        if way.isCut { strike(way, &cluster) }
        let isWhole = cluster.run(within: .seconds(20)) { $0.hasConverged }
        #expect(isWhole, "\(cut) at \(offset): no agreement")
        #expect(cluster.checks.violation == nil, "\(cut) at \(offset)")
        #expect(cluster.checks.restorations > 0, "\(cut) at \(offset): nothing was installed")
        #expect(cluster[3].state.bytes == cluster[2].state.bytes, "\(cut) at \(offset)")
        let (mine, others) = (cluster.raft(3).snapshot, cluster.raft(2).snapshot)
        if mine?.mark == others?.mark { #expect(mine == others, "\(cut) at \(offset)") }
        if way.isCut, cut != .receiver {
            // What is there is not sent again: a new leader asks with the first part, and then goes on.
            let again = way.after.filter { $0 > 0 && $0 < offset - Self.chunkBytes }
            #expect(again.isEmpty, "\(cut) at \(offset): \(again.sorted()) were sent again")
        }
        return way.isCut
    }

    @Test(arguments: Cut.allCases) func aTransferCutAtAnyPartEndsWithTheSameBytes(_ cut: Cut) {
        let start = cluster()
        var parts = 0
        while parts < 1_000, transfer(cut, at: parts * Self.chunkBytes, from: start) { parts += 1 }
        #expect(parts >= 20, "the snapshot had only \(parts) parts")
    }
}
