// What the hosts do after a live move that failed: the one where the guest belongs starts no second one, and the one where it was
// to go ends what is left there, or says that there is nothing.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

private let vm = ResourceKey(kind: "VirtualMachine", name: "gitlab")
private let guest = Guest(workload: vm, form: .machine, vmid: 120)

extension AgentBench {
    /// A founder that runs guests, and another host, with a guest that was to go from one to the other.
    fileprivate static func afterAFailedMove(from: String, to: String) -> AgentBench {
        var bench = AgentBench.founder()
        func facts(_ address: String) -> HostFacts {
            HostFacts(boot: "b1", memoryBytes: 1 << 34, cores: 8, storageAddress: address)
        }
        bench.turn([.guests(.host(facts("10.0.0.1")))])
        bench.run(for: .milliseconds(200))
        bench.request(.createToken(JoinToken(id: "t", secretHash: "h", kind: .host, expiresMilliseconds: .max)))
        bench.request(.join(tokenID: "t", secretHash: "h", member: Self.record(Self.peer, "pve2", .host)))
        bench.request(.workload(.reportHost("pve2", facts("10.0.0.2"))))
        bench.request(
            .apply(
                declarations: [
                    Declaration(kind: "StoragePool", name: "rbd", spec: ["type": "cephRbd"]),
                    Declaration(
                        kind: vm.kind, name: vm.name,
                        spec: ["proxmox": ["vmid": 120], "disks": [["name": "scsi0", "pool": "rbd"]]]),
                ], checkRevision: nil))
        bench.run(for: .milliseconds(200))
        bench.request(.workload(.place(vm, epoch: bench.placement.epoch, on: from, reason: "t", because: nil)))
        bench.request(.workload(.sight(vm, on: from, Sighting(.running))))
        bench.request(.workload(.move(vm, epoch: bench.placement.epoch, to: to, live: true, reason: "t", because: nil)))
        bench.request(.workload(.moveEnded(vm, epoch: bench.placement.epoch, at: from, reason: "File exists")))
        bench.run(for: .milliseconds(200))
        return bench
    }

    fileprivate mutating func observe(
        _ states: GuestState..., lock: String? = nil, isWorkedOn: Bool = false, isStarting: Bool = false
    ) {
        for state in states {
            let seen = GuestObservation(guest, state, lock: lock, isWorkedOn: isWorkedOn, isStarting: isStarting)
            turn([.guests(.observed([seen]))])
            run(for: .seconds(1))
        }
    }

    fileprivate var placement: Placement { core.state.placements[vm] ?? Placement() }
    fileprivate var starts: Int { guestOrders.count { if case .start = $0 { true } else { false } } }
    fileprivate var ends: Int { guestOrders.count { if case .destroy = $0 { true } else { false } } }
}

@Suite struct LeftoverTests {
    @Test func aSecondOneIsNotStartedBeforeTheOtherHostHasNothingOfIt() {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        #expect(bench.placement.phase == .on("pve1") && bench.placement.leftovers == ["pve2"])
        bench.observe(.stopped, .stopped, .stopped)
        #expect(bench.starts == 0)
        bench.request(.workload(.handBack(vm, epoch: bench.placement.epoch, from: "pve2")))
        bench.observe(.stopped)
        #expect(bench.starts == 1)
    }

    @Test func whileItRunsWhereItStayedNothingIsLeftElsewhere() {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        bench.observe(.running, .running, .running)
        #expect(bench.placement.leftovers.isEmpty && bench.placement.phase == .on("pve1"))
        bench.observe(.stopped)
        #expect(bench.starts == 1)
    }

    /// A move of it may be under way still, or again.
    @Test(arguments: [
        GuestObservation(guest, .running, lock: "migrate", isWorkedOn: true),
        GuestObservation(guest, .running, isStarting: true),
    ])
    func nothingIsSaidOfTheOtherHostWhileAnythingWorksOnIt(seen: GuestObservation) {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        for _ in 0..<4 {
            bench.turn([.guests(.observed([seen]))])
            bench.run(for: .seconds(1))
        }
        #expect(bench.placement.leftovers == ["pve2"])
        bench.observe(.running)
        #expect(bench.placement.leftovers.isEmpty)
    }

    /// In the midst of another move, behind the cluster's back.
    @Test func oneThatIsBeingMovedMayBeAboutToHaveGone() {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        bench.observe(.running, .running, .running, lock: "migrate", isWorkedOn: true)
        #expect(bench.placement.leftovers == ["pve2"])
        bench.observe(.running, .running, .running)
        #expect(bench.placement.leftovers.isEmpty)
    }

    /// A look may begin before a step ends and be told after it.
    @Test func whatWasSeenBeforeAStepEndedSaysNothing() {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        bench.request(.workload(.handBack(vm, epoch: bench.placement.epoch, from: "pve2")))
        bench.observe(.stopped)
        #expect(bench.starts == 1)
        bench.turn([.guests(.done(guest, epoch: bench.placement.epoch, .start))])
        var stale = GuestObservation(guest, .stopped)
        stale.isStale = true
        for _ in 0..<3 {
            bench.turn([.guests(.observed([stale]))])
            bench.run(for: .seconds(1))
        }
        #expect(bench.starts == 1)
        bench.observe(.stopped)
        #expect(bench.starts == 2, "it has ended since")
    }

    /// In the last moments of a live move its source stands still. The lock that a move leaves behind when it fails says nothing.
    @Test func whatIsBeingHandedOverIsNotEnded() {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        bench.request(.workload(.handBack(vm, epoch: bench.placement.epoch, from: "pve2")))
        bench.observe(.stuck, .stuck, .stuck, .stuck, lock: "migrate", isStarting: true)
        #expect(bench.ends == 0)
        bench.observe(.stuck, .stuck, .stuck, lock: "migrate")
        #expect(bench.ends == 1)
        bench.turn([.guests(.done(guest, epoch: bench.placement.epoch, .destroy))])
        bench.observe(.stopped, .stopped, lock: "migrate")
        #expect(bench.starts == 1, "its driver finds out that nobody works on it")
    }

    /// Where a move has failed behind the cluster's back, or before the guest was declared anew, nobody was told of a leftover.
    @Test func aProcessThatIsSeenElsewhereIsWaitedForAsWell() {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        bench.request(.workload(.handBack(vm, epoch: bench.placement.epoch, from: "pve2")))
        bench.request(.workload(.sight(vm, on: "pve2", Sighting(.stuck))))
        bench.observe(.stopped, .stopped, .stopped)
        #expect(bench.starts == 0)
        bench.request(.workload(.sight(vm, on: "pve2", Sighting(.absent))))
        bench.observe(.stopped)
        #expect(bench.starts == 1)
    }

    /// And ended there, once it is certain that the guest runs nowhere.
    @Test(arguments: [.stopped, .absent, .running, .stuck] as [GuestState])
    func aProcessThatNobodyWasToldOfIsEnded(there: GuestState) {
        var bench = AgentBench.afterAFailedMove(from: "pve2", to: "pve1")
        bench.request(.workload(.handBack(vm, epoch: bench.placement.epoch, from: "pve1")))
        #expect(bench.placement.leftovers.isEmpty && bench.placement.phase == .on("pve2"))
        bench.request(.workload(.sight(vm, on: "pve2", Sighting(there))))
        bench.observe(.stuck, .stuck, isStarting: true)
        #expect(bench.ends == 0, "something works on it")
        bench.observe(.stuck)
        #expect(bench.ends == 0, "this look may have begun before")
        bench.observe(.stuck, .stuck, .stuck)
        #expect(bench.ends == ([.stopped, .absent].contains(there) ? 1 : 0))
        #expect(bench.placement.phase == .on("pve2"))
    }

    /// What a host said before it was lost does not count.
    @Test(arguments: [true, false]) func norIsAHostThatIsProvenToBeAwayWaitedFor(isProven: Bool) {
        var bench = AgentBench.afterAFailedMove(from: "pve2", to: "pve1")
        bench.request(.workload(.handBack(vm, epoch: bench.placement.epoch, from: "pve1")))
        bench.request(.workload(.sight(vm, on: "pve2", Sighting(.running))))
        bench.request(.observeMember(AgentBench.peer, reachable: false, reason: "t"))
        bench.request(.workload(.disarm(milliseconds: 3_600_000)))
        if isProven { bench.request(.workload(.fenceByWord("pve2"))) }
        bench.observe(.stuck, .stuck, .stuck, .stuck)
        #expect(bench.placement.phase == .on("pve2"), "nobody decides while the cluster is disarmed")
        #expect(bench.ends == (isProven ? 1 : 0))
    }

    /// It is left there, and that host says when it is not any more.
    @Test func whatIsSeenWhereAMoveFailedIsNotForgottenForTheGuestRunning() {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        bench.request(.workload(.sight(vm, on: "pve2", Sighting(.stuck))))
        bench.observe(.running, .running, .running)
        #expect(bench.placement.leftovers == ["pve2"])
        bench.request(.workload(.sight(vm, on: "pve2", Sighting(.absent))))
        bench.observe(.running, .running, .running)
        #expect(bench.placement.leftovers.isEmpty)
    }

    @Test func norOfOneThatIsNotToRun() {
        var bench = AgentBench.afterAFailedMove(from: "pve2", to: "pve1")
        bench.request(.workload(.handBack(vm, epoch: bench.placement.epoch, from: "pve1")))
        bench.request(.workload(.sight(vm, on: "pve2", Sighting(.stopped))))
        bench.request(.workload(.steer(vm, .stop)))
        bench.observe(.stuck, .stuck, .stuck, .stuck)
        #expect(bench.ends == 0)
    }

    @Test func norWhereAnotherHostHasSaidThatItRuns() {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        bench.request(.workload(.handBack(vm, epoch: bench.placement.epoch, from: "pve2")))
        bench.request(.workload(.sight(vm, on: "pve2", Sighting(.running))))
        bench.observe(.stopped, .stopped)
        #expect(bench.starts == 0)
    }

    /// The move took its configuration along and left the process here, which does no work any more.
    @Test func whatIsStuckHereIsEndedAlthoughItMayRunElsewhere() {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        bench.request(.workload(.sight(vm, on: "pve2", Sighting(.running))))
        bench.observe(.stuck)
        #expect(bench.ends == 0, "this look may have begun before the move ended")
        bench.observe(.stuck, .stuck)
        #expect(bench.ends == 1)
        bench.turn([.guests(.done(guest, epoch: bench.placement.epoch, .destroy))])
        bench.observe(.absent, .absent)
        #expect(bench.starts == 0)
        #expect(bench.placement.sighting(on: "pve1") == .absent)
    }

    /// Where its move failed its configuration may have gone all the same.
    @Test(arguments: [true, false]) func itIsTakenFromTheHostThatItMayHaveGoneTo(byWord: Bool) {
        var bench = AgentBench.afterAFailedMove(from: "pve1", to: "pve2")
        bench.observe(.absent)
        #expect(bench.starts == 0)
        bench.request(.observeMember(AgentBench.peer, reachable: false, reason: "t"))
        if byWord {
            bench.request(.workload(.fenceByWord("pve2")))
        } else {
            // The leader may have begun it by itself.
            bench.request(
                .workload(.beginFence("pve2", epoch: 0, .cephBlocklist, by: AgentBench.own, reason: "t")))
            bench.request(
                .workload(.fenceProven("pve2", epoch: 1, .cephBlocklist, barred: ["10.0.0.2"], proof: "p")))
        }
        bench.observe(.absent)
        let epoch = bench.placement.epoch
        #expect(bench.guestOrders.contains(.start(guest, epoch: epoch, takeFrom: ["pve2"], provenAway: ["pve2"])))
    }

    @Test func whatIsLeftIsEndedAndThenToldGone() {
        var bench = AgentBench.afterAFailedMove(from: "pve2", to: "pve1")
        #expect(bench.placement.phase == .on("pve2") && bench.placement.leftovers == ["pve1"])
        bench.observe(.stuck)
        #expect(bench.ends == 0, "this look may have begun before the move ended")
        bench.observe(.stuck, .stuck)
        #expect(bench.ends == 1)
        bench.turn([.guests(.done(guest, epoch: bench.placement.epoch, .destroy))])
        bench.observe(.absent, .absent, .absent)
        #expect(bench.placement.leftovers.isEmpty && bench.placement.phase == .on("pve2"))
        #expect(bench.ends == 1)
    }

    @Test func oneThatWorksHereWhileNothingRunsWhereItBelongsIsLeftToTheLeader() {
        var bench = AgentBench.afterAFailedMove(from: "pve2", to: "pve1")
        bench.observe(.running, .running, .running)
        #expect(bench.ends == 0, "what is said of pve2 is older")
        bench.request(.workload(.sight(vm, on: "pve2", Sighting(.stopped))))
        bench.observe(.running, .running, .running)
        #expect(bench.ends == 0)
    }
}
