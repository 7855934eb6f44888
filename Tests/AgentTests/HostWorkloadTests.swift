// What a host does with the guests that belong to it: started under a lease and never without, stopped when they shall not
// run, ended when the host comes back from a fence.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

private let vm = ResourceKey(kind: "VirtualMachine", name: "gitlab")
private let guest = Guest(workload: vm, form: .machine, vmid: 120)

extension AgentBench {
    /// A founder on a machine that runs guests, with one declared.
    fileprivate static func host(pool: String = "cephRbd", grace: String? = nil) -> AgentBench {
        var bench = AgentBench.founder()
        bench.turn([
            .guests(
                .host(
                    HostFacts(
                        boot: "b1", memoryBytes: 1 << 34, cores: 8, storageAddress: "10.0.0.1",
                        watchdogMilliseconds: 10_000)))
        ])
        bench.run(for: .milliseconds(200))
        var spec: SortedMap<String, JSONValue> = [
            "proxmox": ["vmid": 120, "memory": "4Gi"], "disks": [["name": "scsi0", "pool": "rbd"]],
        ]
        if let grace { spec["health"] = ["tcp": "gitlab:80", "grace": .string(grace)] }
        bench.request(
            .apply(
                declarations: [
                    Declaration(kind: "StoragePool", name: "rbd", spec: ["type": .string(pool)]),
                    Declaration(kind: vm.kind, name: vm.name, spec: .object(spec)),
                ], checkRevision: nil))
        bench.run(for: .milliseconds(200))
        return bench
    }

    fileprivate mutating func observe(_ state: GuestState, healthy: Bool? = nil) {
        turn([.guests(.observed([GuestObservation(guest, state, healthy: healthy)]))])
        run(for: .milliseconds(200))
    }

    /// Another host, which is known and does not answer.
    fileprivate mutating func admitLostHost() {
        request(.createToken(JoinToken(id: "t", secretHash: "h", kind: .host, expiresMilliseconds: .max)))
        request(.join(tokenID: "t", secretHash: "h", member: Self.record(Self.peer, "pve2", .host)))
        request(
            .workload(
                .reportHost(
                    "pve2", HostFacts(boot: "b1", memoryBytes: 1 << 34, cores: 8, storageAddress: "10.0.0.2"))))
        run(for: .milliseconds(200))
    }

    fileprivate var placement: Placement { core.state.placements[vm] ?? Placement() }
    fileprivate var stops: Int {
        guestOrders.count { if case .stop = $0 { true } else { false } }
    }
    fileprivate var starts: Int {
        guestOrders.count { if case .start = $0 { true } else { false } }
    }
}

@Suite struct HostWorkloadTests {
    @Test func aStoppedGuestThatBelongsHereIsStarted() {
        var bench = AgentBench.host()
        #expect(bench.guestOrders == [.watch([]), .watch([guest])])
        bench.observe(.stopped)
        #expect(bench.placement.phase == .on("pve1"))
        #expect(
            bench.guestOrders.last == .start(guest, epoch: bench.placement.epoch, takeFrom: [], provenAway: []))
        bench.run(for: .seconds(30))
        for _ in 0..<3 { bench.observe(.stopped) }
        #expect(bench.starts == 1, "one order at a time")
        bench.observe(.running)
        bench.turn([.guests(.done(guest, epoch: bench.placement.epoch, .start))])
        bench.run(for: .seconds(5))
        #expect(bench.starts == 1)
        #expect(bench.placement.sighting(on: "pve1") == .running)
    }

    @Test func aFailureIsToldAndTheStartTriedAgainWithinTheBudget() {
        var bench = AgentBench.host()
        bench.observe(.stopped)
        for _ in 0..<2 {
            bench.turn([
                .guests(.failed(guest, epoch: bench.placement.epoch, .start, GuestFailure("no such image"))),
                .guests(.observed([GuestObservation(guest, .stopped)])),
            ])
            bench.run(for: .seconds(20))
        }
        #expect(bench.starts == 2)
        #expect(bench.placement.failures == 2)
        #expect(bench.placement.obstacle.contains("no such image"))
    }

    /// At the target of a live move the guest's process is there before its configuration is, and is seen as stuck. When the
    /// move has ended, that is what was seen last.
    @Test func aGuestThatHasJustArrivedIsNotEndedForWhatWasSeenBefore() {
        var bench = AgentBench.host()
        bench.observe(.running)
        let before = bench.guestOrders.count
        bench.observe(.stuck)
        #expect(Array(bench.guestOrders.dropFirst(before)) == [.watch([guest])], "another look is asked for")
        bench.observe(.running)
        bench.run(for: .seconds(5))
        #expect(bench.guestOrders.count == before + 1, "it runs")
        bench.observe(.stuck)
        bench.observe(.running)
        bench.observe(.stuck)
        #expect(!bench.guestOrders.contains(.destroy(guest, epoch: bench.placement.epoch)), "each time it may be so")
    }

    @Test func aGuestThatIsStuckInLooksSinceIsEndedAndStarted() {
        var bench = AgentBench.host()
        bench.observe(.running)
        for _ in 0..<3 {
            #expect(!bench.guestOrders.contains(.destroy(guest, epoch: bench.placement.epoch)))
            bench.observe(.stuck)
        }
        #expect(bench.guestOrders.last == .destroy(guest, epoch: bench.placement.epoch))
        bench.turn([.guests(.done(guest, epoch: bench.placement.epoch, .destroy))])
        bench.observe(.stopped)
        #expect(bench.starts == 1)
    }

    @Test func withoutALeaseNothingIsStarted() {
        var bench = AgentBench.host()
        bench.observe(.running)
        #expect(bench.placement.phase == .on("pve1"))
        bench.core.leaseUntil = .distantPast
        bench.core.raft.wantsLease = false
        bench.turn([.guests(.observed([GuestObservation(guest, .stopped)]))])
        #expect(bench.starts == 0)
    }

    @Test func afterAFenceEverythingIsEndedBeforeTheHostIsClean() {
        var bench = AgentBench.host()
        bench.observe(.running)
        let word = WorkloadCommand.beginFence(
            "pve1", epoch: 0, .cephBlocklist, by: AgentBench.peer, reason: "it was away")
        bench.request(.workload(word))
        let proof = WorkloadCommand.fenceProven(
            "pve1", epoch: 1, .cephBlocklist, barred: ["10.0.0.1"], proof: "in OSD map 7")
        bench.request(.workload(proof))
        bench.run(for: .milliseconds(300))
        #expect(bench.guestOrders.last == .destroy(guest, epoch: 1))
        #expect(bench.core.state.hosts["pve1"]?.fence == .proven(.cephBlocklist, proof: "in OSD map 7"))
        bench.turn([.guests(.done(guest, epoch: 1, .destroy))])
        // A start from before the fence is still under way: it would open the disks once they are given back.
        bench.turn([.guests(.observed([GuestObservation(guest, .absent, isStarting: true)]))])
        bench.run(for: .milliseconds(300))
        #expect(bench.core.state.hosts["pve1"]?.fence == .proven(.cephBlocklist, proof: "in OSD map 7"))
        #expect(bench.guestOrders.count { $0 == .destroy(guest, epoch: 1) } == 2)
        bench.turn([.guests(.done(guest, epoch: 1, .destroy))])
        bench.observe(.stopped)
        bench.run(for: .milliseconds(300))
        #expect(bench.core.state.hosts["pve1"]?.fence == .clean(.cephBlocklist))
        #expect(bench.starts == 0, "nothing is started before the fence is lifted")
    }

    @Test func aGuestThatNeedsTheWatchdogIsStartedOnlyOnceItIsArmedAndKnownToBe() {
        var bench = AgentBench.host(pool: "shared")
        bench.observe(.stopped)
        bench.run(for: .milliseconds(300))
        let armed = bench.watchdogOrders.firstIndex { if case .feed = $0 { true } else { false } }
        #expect(armed != nil)
        #expect(bench.core.state.hosts["pve1"]?.facts.isGuarded == true)
        #expect(bench.starts == 1)
    }

    @Test func whatShallNotRunIsStopped() {
        var bench = AgentBench.host()
        bench.observe(.running)
        bench.request(.workload(.steer(vm, .stop)))
        bench.run(for: .milliseconds(200))
        #expect(
            bench.guestOrders.last == .stop(guest, epoch: bench.placement.epoch, grace: .seconds(60)))
    }

    @Test func aFenceIsCarriedOutByWhoeverWasChosenAndItsProofTold() {
        var bench = AgentBench.host()
        bench.admitLostHost()
        let until = bench.now + FenceOrder.mostWait
        bench.request(
            .workload(.beginFence("pve2", epoch: 0, .cephBlocklist, by: AgentBench.own, reason: "test")))
        #expect(bench.fenceOrders == [.blocklist(host: "pve2", epoch: 1, addresses: ["10.0.0.2"], until: until)])
        bench.turn([.fence(.failed(bench.fenceOrders[0], reason: "no monitor answers"))])
        bench.run(for: .seconds(3))
        #expect(bench.fenceOrders.count == 2, "tried again")
        bench.turn([.fence(.fenced(bench.fenceOrders[1], proof: "in OSD map 7"))])
        bench.run(for: .milliseconds(200))
        #expect(bench.core.state.hosts["pve2"]?.fence.isProven == true)
    }

    @Test func aProofIsOfTheMethodThatWasCarriedOut() {
        var bench = AgentBench.host(pool: "shared")
        bench.admitLostHost()
        bench.request(
            .workload(.beginFence("pve2", epoch: 0, .watchdog, by: AgentBench.own, reason: "test")))
        bench.run(for: .milliseconds(200))
        let unasked = FenceOrder.blocklist(host: "pve2", epoch: 1, addresses: ["10.0.0.2"], until: bench.now)
        bench.turn([.fence(.fenced(unasked, proof: "in OSD map 7"))])
        bench.run(for: .seconds(2))
        #expect(bench.core.state.hosts["pve2"]?.fence == .wanted(.watchdog, by: AgentBench.own))
        // The blocklist is under way when another method is asked for.
        bench.request(
            .workload(.beginFence("pve2", epoch: 1, .cephBlocklist, by: AgentBench.own, reason: "test")))
        bench.request(
            .workload(.beginFence("pve2", epoch: 1, .watchdog, by: AgentBench.own, reason: "test")))
        bench.turn([.fence(.fenced(bench.fenceOrders[0], proof: "in OSD map 7"))])
        bench.run(for: .milliseconds(200))
        #expect(bench.core.state.hosts["pve2"]?.fence == .proven(.cephBlocklist, proof: "in OSD map 7"))
    }

    @Test func thePowerCommandNamesTheHostAlsoWithinAnArgument() {
        var bench = AgentBench.host()
        bench.request(
            .apply(
                declarations: [
                    Declaration(
                        kind: "FencePolicy", name: "default",
                        spec: [
                            "methods": ["power", "watchdog"], "powerCommand": ["/usr/bin/ipmitool", "{host}-ipmi.lan"],
                        ])
                ], checkRevision: nil))
        bench.request(.workload(.beginFence("pve1", epoch: 0, .power, by: AgentBench.own, reason: "test")))
        bench.run(for: .seconds(3))
        #expect(bench.fenceOrders.isEmpty, "it is there")
        #expect(
            bench.core.state.events.contains {
                $0.type == "FenceFailed" && $0.message == "pve1 is there again; its power is left alone"
            })
        #expect(bench.core.state.hosts["pve1"]?.fence.isNone == true)
        bench.admitLostHost()
        let until = bench.now + FenceOrder.mostWait
        bench.request(.workload(.beginFence("pve2", epoch: 0, .power, by: AgentBench.own, reason: "test")))
        #expect(
            bench.fenceOrders == [
                .powerOff(
                    host: "pve2", epoch: 1, command: ["/usr/bin/ipmitool", "pve2-ipmi.lan"], until: until)
            ])
    }

    @Test func aHostThatIsThereAgainKeepsItsStorage() {
        var bench = AgentBench.host()
        bench.request(
            .workload(.beginFence("pve1", epoch: 0, .cephBlocklist, by: AgentBench.own, reason: "test")))
        bench.run(for: .seconds(3))
        for order in bench.fenceOrders {
            guard case .unblocklist(_, _, let addresses, _) = order else {
                Issue.record("\(order) was given")
                continue
            }
            #expect(addresses == ["10.0.0.1"])
        }
        #expect(!bench.fenceOrders.isEmpty, "what an earlier attempt may have done is taken away")
        bench.turn([.fence(.lifted(bench.fenceOrders.last!))])
        bench.run(for: .milliseconds(200))
        #expect(bench.core.state.hosts["pve1"]?.fence.isNone == true)
    }

    @Test func oneThatIsNotWellIsEndedAndStartedAgainOnce() {
        var bench = AgentBench.host(grace: "10s")
        bench.observe(.running, healthy: true)
        bench.run(for: .seconds(60))
        #expect(bench.stops == 0 && bench.starts == 0)
        bench.observe(.running, healthy: false)
        bench.run(for: .seconds(2))
        #expect(bench.stops == 1 && bench.starts == 0)
        bench.turn([
            .guests(.done(guest, epoch: bench.placement.epoch, .stop)),
            .guests(.observed([GuestObservation(guest, .stopped)])),
        ])
        bench.run(for: .milliseconds(300))
        #expect(bench.starts == 1)
        bench.turn([
            .guests(.done(guest, epoch: bench.placement.epoch, .start)),
            .guests(.observed([GuestObservation(guest, .running)])),
        ])
        bench.run(for: .seconds(30))
        #expect(bench.stops == 1 && bench.starts == 1, "that it was to be restarted is forgotten")
        bench.observe(.running, healthy: false)
        bench.run(for: .seconds(9))
        #expect(bench.placement.obstacle.isEmpty, "it gets its grace")
        bench.run(for: .seconds(2))
        #expect(bench.placement.obstacle == "its health check fails, restarted once: no other host is there")
        #expect(bench.stops == 1)
    }

    @Test func aHostThatIsToBeRestartedIsEmptiedThenRestarted() {
        var bench = AgentBench.host()
        bench.observe(.running)
        bench.request(.workload(.orderRestart("pve1", isForced: true)))
        bench.run(for: .milliseconds(500))
        #expect(bench.core.state.hosts["pve1"]?.leaving == .reboot)
        // Nobody could take it: it ends here.
        #expect(bench.guestOrders.last == .stop(guest, epoch: bench.placement.epoch, grace: .seconds(60)))
        bench.run(for: .seconds(5))
        #expect(!bench.restartsMachine && bench.core.state.hosts["pve1"]?.restart?.hasBegun == false)
        bench.turn([.guests(.done(guest, epoch: bench.placement.epoch, .stop))])
        bench.observe(.stopped)
        bench.run(for: .seconds(5))
        #expect(bench.core.state.hosts["pve1"]?.restart?.hasBegun == true)
        #expect(bench.restartsMachine && !bench.stopped)
        #expect(bench.starts == 0)
    }

    @Test func aHostThatTheOthersCannotDoWithoutWaits() {
        var bench = AgentBench.host()
        bench.request(.workload(.steer(vm, .stop)))
        bench.observe(.stopped)
        #expect(bench.starts == 0, "nothing is left to wait for but the others")
        bench.request(.workload(.orderRestart("pve1", isForced: false)))
        bench.run(for: .seconds(30))
        // The only voter.
        let host = bench.core.state.hosts["pve1"]
        #expect(!bench.restartsMachine && host?.leaving == .reboot && host?.restart?.hasBegun == false)
        bench.request(.workload(.cancelRestart("pve1")))
        bench.run(for: .seconds(5))
        #expect(bench.core.state.hosts["pve1"]?.leaving == nil)
        #expect(bench.core.state.hosts["pve1"]?.restart == nil)
        #expect(!bench.restartsMachine)
    }

    @Test func anAgentThatIsOnlyStoppedRestartsNoMachine() {
        var bench = AgentBench.host()
        bench.observe(.running)
        bench.request(.workload(.orderRestart("pve1", isForced: true)))
        bench.run(for: .milliseconds(500))
        bench.turn([.stop])
        bench.run(for: .seconds(30))
        #expect(bench.stopped && !bench.restartsMachine)
        #expect(bench.core.state.hosts["pve1"]?.restart?.hasBegun == false, "the next process goes on with it")
    }

    @Test func aRestartThatAnotherProcessHadBegunHasFailed() {
        var bench = AgentBench.host()
        bench.observe(.running)
        bench.request(.workload(.orderRestart("pve1", isForced: true)))
        let order = bench.core.state.hosts["pve1"]?.restart?.order ?? 0
        bench.request(.workload(.beginRestart("pve1", order: order)))
        bench.run(for: .seconds(5))
        let host = bench.core.state.hosts["pve1"]
        #expect(host?.restart == nil && host?.leaving == nil)
        #expect(bench.core.state.events.contains { $0.type == "HostNotRestarted" })
        #expect(!bench.restartsMachine && !bench.stopped)
    }

    @Test func oneThatCouldNotBeStartedAgainIsNotEnded() {
        var bench = AgentBench.host(pool: "shared", grace: "10s")
        bench.run(for: .seconds(1))
        bench.observe(.running, healthy: true)
        bench.run(for: .seconds(2))
        #expect(bench.core.state.hosts["pve1"]?.facts.isGuarded == true)
        bench.watchdogFailure = "no /dev/watchdog"
        bench.run(for: .seconds(5))
        #expect(bench.core.state.hosts["pve1"]?.facts.isGuarded == false)
        bench.observe(.running, healthy: false)
        bench.run(for: .seconds(60))
        #expect(bench.stops == 0)
        // Nor when the leader orders it, having heard nothing of that yet.
        bench.request(.workload(.care(vm, epoch: bench.placement.epoch, .restart, reason: "test")))
        bench.run(for: .seconds(5))
        #expect(bench.placement.care.isRestarting && bench.stops == 0)
        bench.watchdogFailure = nil
        bench.run(for: .seconds(5))
        #expect(bench.stops == 1)
    }

    @Test func oneThatFailsFromItsStartGetsItsGrace() {
        var bench = AgentBench.host(grace: "10s")
        bench.observe(.running, healthy: false)
        bench.run(for: .seconds(9))
        #expect(bench.stops == 0)
        // Well for a moment, and a new spell begins.
        bench.observe(.running)
        bench.observe(.running, healthy: false)
        bench.run(for: .seconds(9))
        #expect(bench.stops == 0)
        bench.run(for: .seconds(2))
        #expect(bench.stops == 1)
    }

    @Test func aStopThatFailsIsNoHotLoop() {
        var bench = AgentBench.host()
        bench.observe(.running)
        bench.request(.workload(.steer(vm, .stop)))
        bench.run(for: .milliseconds(200))
        for _ in 0..<10 {
            bench.turn([
                .guests(.failed(guest, epoch: bench.placement.epoch, .stop, GuestFailure("it hangs"))),
                .guests(.observed([GuestObservation(guest, .running)])),
            ])
            bench.run(for: .milliseconds(100))
        }
        #expect(bench.guestOrders.count { if case .stop = $0 { true } else { false } } == 1)
        bench.run(for: HostWorkloads.retryAfter)
        #expect(bench.guestOrders.count { if case .stop = $0 { true } else { false } } == 2)
    }

    @Test func whatPassesByItselfUsesUpNoTry() {
        var bench = AgentBench.host()
        bench.turn([.guests(.observed([GuestObservation(guest, .stopped, lock: "backup", isWorkedOn: true)]))])
        bench.run(for: .seconds(30))
        #expect(bench.placement.phase == .on("pve1") && bench.starts == 0)
        bench.observe(.stopped)
        #expect(bench.starts == 1)
    }

    /// Found by seed 507 of the profile `workloads`: the process before this one had ordered a start that did not show yet.
    @Test func whatIsBeingStartedIsNotStartedAgainAndStandsInTheWayOfWhatMustBeApart() {
        var bench = AgentBench.host(pool: "local")
        let other = Guest(workload: ResourceKey(kind: vm.kind, name: "archive"), form: .machine, vmid: 119)
        bench.request(
            .apply(
                declarations: [
                    Declaration(
                        kind: vm.kind, name: "archive",
                        spec: [
                            "proxmox": ["vmid": 119, "memory": "4Gi"], "disks": [["name": "scsi0", "pool": "rbd"]],
                        ]),
                    Declaration(
                        kind: "PlacementRule", name: "two",
                        spec: ["affinity": "apart", "workloads": ["gitlab", "archive"]]),
                ], checkRevision: nil))
        for _ in 0..<3 {
            bench.turn([
                .guests(
                    .observed([GuestObservation(other, .stopped, isStarting: true), GuestObservation(guest, .stopped)])
                )
            ])
            bench.run(for: .seconds(3))
        }
        #expect(bench.placement.phase == .on("pve1"))
        #expect(bench.starts == 0)
        bench.request(.workload(.steer(other.workload, .stop)))
        bench.turn([
            .guests(.observed([GuestObservation(other, .stopped), GuestObservation(guest, .stopped)]))
        ])
        bench.run(for: .milliseconds(200))
        #expect(
            bench.guestOrders.last == .start(guest, epoch: bench.placement.epoch, takeFrom: [], provenAway: []))
    }

    @Test func nothingIsDecidedOnWhatWasSeenBeforeTheLastStepEnded() {
        var bench = AgentBench.host()
        bench.observe(.stopped)
        #expect(bench.starts == 1)
        bench.turn([.guests(.done(guest, epoch: bench.placement.epoch, .start))])
        bench.run(for: .seconds(10))
        #expect(bench.starts == 1, "it may be running")
        bench.observe(.stopped)
        #expect(bench.starts == 2)
    }

    @Test func aGuestThatIsNotMovedLiveGoesOnUntilNothingStandsInTheWay() {
        var bench = AgentBench.host()
        bench.observe(.running)
        bench.admitLostHost()
        bench.request(
            .workload(
                .move(vm, epoch: bench.placement.epoch, to: "pve2", live: false, reason: "test", because: nil)))
        bench.run(for: .milliseconds(200))
        #expect(bench.guestOrders.last == .migrate(guest, epoch: bench.placement.epoch, to: "pve2", live: false))
        #expect(!bench.guestOrders.contains { if case .stop = $0 { true } else { false } })
    }

    /// The hypervisor does not answer: its guests may be anything by now.
    @Test func whileTheDriverIsBlindNothingIsDoneOnWhatWasSeenBefore() {
        var bench = AgentBench.host()
        bench.observe(.running)
        bench.turn([.guests(.blind(reason: "no answer within 10 s"))])
        let before = bench.guestOrders.count
        bench.request(.workload(.steer(vm, .stop)))
        bench.run(for: .seconds(10))
        #expect(bench.guestOrders.count == before)
        #expect(bench.placement.sighting(on: "pve1") == .running, "what was said of it stands")
        bench.observe(.running)
        #expect(bench.guestOrders.count == before + 1, "it is seen again")
        guard case .stop? = bench.guestOrders.last else {
            Issue.record("\(bench.guestOrders)")
            return
        }
    }
}
