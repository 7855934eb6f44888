// The chain of leases and its four traps, message by message on one member, and on whole clusters.

import Consensus
import Testing

@Suite struct LeaseTests {
    private func request(_ bench: Bench) -> LeaseRequest { LeaseRequest(stamp: bench.now, incarnation: 9) }

    /// A successor that waits for its predecessor's leases hands leadership on: the next one must wait as long.
    @Test func aSecondTransferPassesOnWhatTheFirstLeftOut() throws {
        var bench = Bench(1, hardState: HardState(term: Term(rawValue: 1)), terms: [1])
        bench.receive(Bench.append(after: 1, term: 1, commit: 1), from: 2, term: 1)
        bench.receive(.campaignNow(CampaignNow(longestGrant: .milliseconds(250))), from: 2, term: 1)
        bench.persist()
        bench.receive(.voteReply(VoteReply(granted: true)), from: 2, term: 2)
        #expect(bench.raft.isLeader)
        bench.pass(.milliseconds(10))
        bench.accept(through: 2, from: 3)
        let started = bench.transfer(to: 3)
        #expect(started)
        let order = try #require(bench.messages(to: 3).orders.first)
        #expect(order.longestGrant >= .milliseconds(240))
    }

    /// The leader's disk hangs while it asks for a long promise; then the timings shrink. A crash would leave the disk
    /// with the short promise only, so the rounds of the long one must not count the leader itself.
    @Test func aShorterPromiseDoesNotStandInForALongerOneThatIsNotDurable() {
        var bench = Bench.leader()
        bench.accept(through: 1, from: 2)
        var long = Timing()
        long.quorumLease = .milliseconds(900)
        long.promise = .seconds(1)
        bench.raft.timing = long
        bench.pass(.milliseconds(60))
        bench.tick()
        bench.raft.timing = Timing()
        bench.answerRound(from: 2)
        #expect(!bench.raft.holdsQuorumLease(now: bench.now + .milliseconds(1)))
        bench.persist()
        #expect(bench.raft.holdsQuorumLease(now: bench.now + .milliseconds(1)))
    }

    /// E ≥ Q × (1 + ρ)/(1 − ρ): the voter's clock may be fast by the bound while the holder's is slow by it.
    @Test(arguments: [0, 500, 20_000, 100_000] as [Int64], [1, 999_999, 300_000_000, 60_000_000_000] as [Int64])
    func aStretchedLengthCoversTheFastestAndTheSlowestClock(drift: Int64, nanoseconds: Int64) {
        var timing = Timing()
        timing.driftPartsPerMillion = drift
        let length = Interval(nanoseconds: nanoseconds)
        let stretched = Double(timing.stretched(length).nanoseconds)
        let needed = Double(nanoseconds) * Double(1_000_000 + drift) / Double(1_000_000 - drift)
        #expect(stretched >= needed)
        #expect(stretched <= needed + 2_000)
    }

    /// Point 5 of the chain: Q follows from the E that was asked for, even when the timings contradict each other.
    @Test func aQuorumLeaseNeverOutlivesThePromiseItRestsOn() {
        var timing = Timing()
        timing.promise = .milliseconds(100)
        var bench = Bench.leader(timing: timing)
        bench.answerRound(from: 2)
        #expect(bench.raft.holdsQuorumLease(now: bench.now + .milliseconds(95)))
        #expect(!bench.raft.holdsQuorumLease(now: bench.now + .milliseconds(100)))
    }

    @Test func aGrantForARequestThatWasNeverMadeIsRefused() {
        var bench = Bench(1)
        let round = Message.heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: .zero))
        bench.receive(round, from: 2, term: 1)
        bench.persist()
        let stamp = bench.now + .seconds(100)
        for (from, stamp, incarnation) in [(2, stamp, 7), (3, bench.now, 7), (2, bench.now, 6)]
            as [(UInt64, Instant, UInt64)]
        {
            bench.receive(
                .leaseGrant(
                    LeaseGrant(stamp: stamp, incarnation: incarnation, duration: .milliseconds(300), floor: .zero)),
                from: from, term: 1)
        }
        #expect(bench.notices == [.leaderChanged(MemberID(rawValue: 2))])
    }

    /// The pause trap on the leader's side. A guest that leads is paused between sending a round and receiving what came
    /// of it; its clock does not notice. Member 4 answers the same round after the pause, when others have long elected
    /// a successor. Only a round opened after the request arrived proves that the request is fresh.
    @Test func aLeaseIsGrantedOnlyOnARoundOpenedAfterItWasAskedFor() {
        var bench = Bench.leader(learners: [4])
        bench.accept(through: 1, from: 2)
        bench.answerRound(from: 4, lease: request(bench))
        bench.answerRound(from: 2)
        #expect(bench.messages(to: 4).grants.isEmpty)
        bench.pass(.milliseconds(50))
        bench.tick()
        bench.pass(.milliseconds(1))
        bench.answerRound(from: 2)
        #expect(bench.messages(to: 4).grants.map(\.duration) == [.milliseconds(299)])
    }

    @Test func theFirstLeaseDoesNotWaitForTheNextHeartbeat() {
        var bench = Bench.leader(learners: [4])
        bench.accept(through: 1, from: 2)
        bench.answerRound(from: 4, lease: request(bench))
        #expect(bench.raft.nextDeadline <= bench.now + .milliseconds(5))
        bench.pass(.milliseconds(5))
        bench.tick()
        bench.answerRound(from: 2)
        #expect(bench.messages(to: 4).grants.count == 1)
        // From then on the usual rhythm is enough.
        bench.answerRound(from: 4, lease: request(bench))
        #expect(bench.raft.nextDeadline == bench.now + .milliseconds(50))
    }

    /// A later grant may carry a higher floor. An earlier one that arrives after it must not lower the floor again.
    @Test func grantsThatArriveInTheWrongOrderDoNotLowerTheFloor() {
        var bench = Bench(1)
        bench.receive(.heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: .zero)), from: 2, term: 1)
        bench.persist()
        let asked = bench.now
        bench.pass(.milliseconds(400))
        bench.forget()
        for (stamp, floor) in [(asked + .milliseconds(350), 9), (asked, 5)] as [(Instant, UInt64)] {
            let grant = LeaseGrant(
                stamp: stamp, incarnation: 7, duration: .milliseconds(300), floor: LogIndex(rawValue: floor))
            bench.receive(.leaseGrant(grant), from: 2, term: 1)
        }
        let expected = Effect.leaseRenewed(until: asked + .milliseconds(650), floor: LogIndex(rawValue: 9))
        #expect(bench.notices.last == expected)
    }

    /// Under another leader the log may be shorter: a floor of the old one could lie beyond its end for ever.
    @Test func aNewLeadersGrantReplacesTheOldFloor() {
        var bench = Bench(1)
        for (term, floor) in [(1, 9), (2, 5)] as [(UInt64, UInt64)] {
            bench.receive(
                .heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: .zero)), from: 2, term: term)
            bench.persist()
            let grant = LeaseGrant(
                stamp: bench.now, incarnation: 7, duration: .milliseconds(300), floor: LogIndex(rawValue: floor))
            bench.receive(.leaseGrant(grant), from: 2, term: term)
        }
        let expected = Effect.leaseRenewed(until: bench.now + .milliseconds(300), floor: LogIndex(rawValue: 5))
        #expect(bench.notices.last == expected)
    }

    /// A voter that crashed after its answer must still know that it promised.
    @Test func aRoundIsAnsweredWhenItsPromiseWouldSurviveACrash() {
        var bench = Bench()
        bench.receive(.heartbeat(Heartbeat(round: 1, promise: .milliseconds(320), commit: .zero)), from: 2, term: 1)
        #expect(bench.sent.isEmpty)
        bench.persist()
        #expect(bench.messages(to: 2).count == 1)
        bench.forget()
        // No disk is needed any more: this length is on it.
        bench.receive(.heartbeat(Heartbeat(round: 2, promise: .milliseconds(320), commit: .zero)), from: 2, term: 1)
        #expect(bench.messages(to: 2).count == 1)
        bench.receive(.heartbeat(Heartbeat(round: 3, promise: .milliseconds(321), commit: .zero)), from: 2, term: 1)
        #expect(bench.messages(to: 2).count == 1)
    }

    @Test func aWithheldLeaseIsNotRenewedUntilItIsRestored() {
        var bench = Bench.leader(learners: [4])
        bench.accept(through: 1, from: 2)
        func ask() {
            bench.answerRound(from: 4, lease: request(bench))
            bench.pass(.milliseconds(50))
            bench.tick()
            bench.answerRound(from: 2)
        }
        bench.raft.withholdLease(from: MemberID(rawValue: 4))
        ask()
        #expect(bench.messages(to: 4).grants.isEmpty)
        bench.raft.restoreLease(to: MemberID(rawValue: 4))
        ask()
        #expect(!bench.messages(to: 4).grants.isEmpty)
    }

    /// A floor may stay only while nothing can have been taken from the member without its word.
    @Test func aFloorStaysOnlyWithinUnbrokenRenewalsOfOneProcess() {
        var leases = MemberLeases()
        let member = MemberID(rawValue: 4)
        let length = Interval.milliseconds(300)
        func floor(process: UInt64, last: UInt64, at milliseconds: Int64) -> UInt64? {
            leases.grant(
                to: member, incarnation: process, duration: length, lastIndex: LogIndex(rawValue: last),
                now: .zero + .milliseconds(milliseconds), timing: Timing())?.rawValue
        }
        #expect(floor(process: 1, last: 5, at: 0) == 5)
        #expect(floor(process: 1, last: 6, at: 200) == 5)
        #expect(floor(process: 2, last: 7, at: 300) == 7, "a new process has applied nothing")
        #expect(floor(process: 2, last: 8, at: 500) == 7)
        #expect(floor(process: 2, last: 9, at: 1_000) == 9, "its lease had run out")
    }

    /// The holder's clock may be slow by the bound while the leader's is fast by it.
    @Test func aLeaseIsCertainlyOverOnlyByTheSlowestClock() {
        var timing = Timing()
        timing.driftPartsPerMillion = 50_000
        var leases = MemberLeases()
        let member = MemberID(rawValue: 4)
        _ = leases.grant(
            to: member, incarnation: 1, duration: .milliseconds(300), lastIndex: .zero, now: .zero, timing: timing)
        #expect(leases.outstanding(member, now: .zero + .milliseconds(331)) != nil)
        #expect(leases.outstanding(member, now: .zero + .milliseconds(332)) == nil)
    }

    @Test func timingsWhosePromiseIsTooShortForTheirLeaseAreAtFault() {
        var timing = Timing()
        #expect(timing.fault == nil)
        timing.promise = timing.quorumLease
        #expect(timing.fault?.hasPrefix("promise") == true)
    }

    /// Like everyone's: what the voters promised began when the round reached them, not when their answers came.
    @Test func aLeadersOwnLeaseIsCountedFromItsRound() {
        var bench = Bench.leader()
        bench.raft.wantsLease = true
        bench.accept(through: 1, from: 2)
        bench.pass(.milliseconds(50))
        bench.tick()
        let sent = bench.now
        bench.pass(.milliseconds(40))
        bench.forget()
        bench.answerRound(from: 2)
        let renewed = Effect.leaseRenewed(until: sent + .milliseconds(300), floor: LogIndex(rawValue: 1))
        #expect(bench.notices == [renewed])
    }
}
