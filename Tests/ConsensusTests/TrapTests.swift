// 46: the four traps of the chain of leases, each as a whole cluster. The checks watch every lease on ground truth: no
// two leaders with a quorum lease, no two members that act on the role, no lease that the leader calls over and is not.

import Consensus
import Testing

@Suite struct TrapTests {
    /// Member 2 stands behind the leader's lease, dies and forgets that; member 3 has promised nothing for long.
    @Test("46 restart: a voter that forgot its promise keeps it", arguments: 1...10 as ClosedRange<UInt64>)
    func aVoterThatForgotItsPromiseKeepsIt(seed: UInt64) {
        var cluster = TestCluster(voters: 3, seed: seed)
        cluster.movesRoles = true
        cluster.establish(leader: 1)
        cluster.network.isolate([3])
        cluster.run(for: .seconds(2))
        #expect(cluster.raft(1).holdsQuorumLease(now: cluster.reading(1)))
        cluster.network.heal()
        cluster.network.isolate([1])
        cluster.crash(2, tearing: false)
        cluster.restart(2)
        let leased = cluster.run(within: .seconds(5)) { $0.leader != 1 && $0.settledLeader != nil }
        #expect(leased)
        cluster.run(for: .seconds(1))
        #expect(cluster.checks.violation == nil)
    }

    /// The holder is cut off at the very moment leadership is handed over: the successor is elected without regard to
    /// promises, while the holder's lease has most of its time left.
    @Test("46 transfer: the successor waits for the grants it inherits", arguments: 1...10 as ClosedRange<UInt64>)
    func theSuccessorWaitsForTheGrantsItInherits(seed: UInt64) {
        var cluster = TestCluster(voters: 3, learners: 2, seed: seed)
        cluster.movesRoles = true
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        guard let holder = cluster[1].state.holder.map({ Int($0.rawValue) }) else {
            Issue.record("nobody holds the role")
            return
        }
        let successor = holder == 2 ? 3 : 2
        cluster.transfer(from: 1, to: successor)
        if holder != 1 { cluster.network.isolate([holder]) }
        let epoch = cluster[1].state.epoch
        let elected = cluster.run(within: .milliseconds(100)) { $0.settledLeader == successor }
        #expect(elected)
        #expect(cluster[successor].state.epoch == epoch)
        if holder == 1 { cluster.network.isolate([1]) }
        let moved = cluster.run(within: .seconds(2)) { $0[successor].state.epoch > epoch }
        #expect(moved)
        cluster.run(for: .seconds(1))
        #expect(cluster.checks.violation == nil)
    }

    /// Leader 1 is a guest. It sends a round and is paused; what it sent to member 4 still waits in its own buffers.
    /// Others elect a successor. Then it wakes up with its old clock, its heartbeat reaches 4, and 4 answers.
    @Test("46 pause: a leader that stood still grants nothing", arguments: 1...10 as ClosedRange<UInt64>)
    func aLeaderThatStoodStillGrantsNothing(seed: UInt64) {
        var cluster = TestCluster(voters: 3, learners: 1, seed: seed, guests: [1])
        cluster.movesRoles = true
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        // From now on heartbeats to 4 are caught, and the answers of 2 and 3 too.
        cluster.network.fate = { envelope in
            switch (envelope.message, envelope.from.rawValue, envelope.to.rawValue) {
            case (.heartbeat, 1, 4), (.heartbeatReply, _, 1): .hold
            case (_, 2...3, 4): .drop
            default: .deliver
            }
        }
        cluster.run(for: .milliseconds(60))
        cluster.pause(1)
        // Nobody tells 1 and 4 of what happens now.
        cluster.network.fate = { envelope in
            switch (envelope.from.rawValue, envelope.to.rawValue) {
            case (2...3, 1), (2...3, 4): .drop
            default: .deliver
            }
        }
        let replaced = cluster.run(within: .seconds(5)) { ($0.settledLeader ?? 1) != 1 }
        #expect(replaced)
        cluster.run(for: .seconds(1))
        #expect(!cluster[4].holdsLease(at: cluster.now))
        cluster.resume(1)
        cluster.releaseHeld()
        for _ in 0..<100 {
            cluster.run(for: .milliseconds(2))
            #expect(!cluster[4].holdsLease(at: cluster.now))
        }
        #expect(cluster.checks.violation == nil)
    }

    @Test("46 disk stall: leases go on while leadership moves", arguments: 1...10 as ClosedRange<UInt64>)
    func leasesGoOnWhileLeadershipMovesOffAStalledDisk(seed: UInt64) {
        var cluster = TestCluster(voters: 3, seed: seed)
        cluster.movesRoles = true
        cluster.establish(leader: 1)
        cluster.run(for: .seconds(1))
        // A holder whose own disk hangs cannot enter the new term, and rightly loses the role.
        let mustStay = cluster[1].state.holder != MemberID(rawValue: 1)
        let epoch = cluster[1].state.epoch
        cluster.stallDisk(1)
        cluster.propose(1, at: 1)
        let moved = cluster.run(within: .seconds(1)) { ($0.settledLeader ?? 1) != 1 }
        #expect(moved)
        for _ in 0..<200 {
            cluster.run(for: .milliseconds(10))
            let present = cluster.leader.map { cluster[$0].state.epoch }
            guard mustStay, present != epoch else { continue }
            Issue.record("the role moved")
            break
        }
        cluster.freeDisk(1)
        cluster.run(for: .seconds(2))
        #expect(cluster.hasConverged)
        #expect(cluster.checks.violation == nil)
    }
}
