// A host that cannot look at its guests: it says so, and lets go of what it was given and has not begun.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

@Suite struct HostSightTests {
    private let gitlab = HostBench.gitlab

    /// What this host has said last of itself.
    private func said(_ host: HostBench) -> HostFacts? {
        for case .reportHost("pve1", let facts) in host.told.reversed() { return facts }
        return nil
    }

    @Test func aHostThatCannotLookForAWhileSaysSo() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.run(for: .milliseconds(200))
        host.bench.turn([.guests(.blind(reason: "no answer"))])
        host.run(for: .seconds(9))
        #expect(said(host)?.isBlind != true)
        host.run(for: .seconds(2))
        #expect(said(host)?.isBlind == true)
        host.agree()
        #expect(host.bench.core.state.hosts["pve1"]?.facts.isBlind == true)
        host.observe()
        host.run(for: .milliseconds(200))
        #expect(said(host)?.isBlind == nil)
        host.agree()
        #expect(host.bench.core.state.hosts["pve1"]?.facts.isBlind == nil)
    }

    @Test func aHostThatLooksInTimeIsNotBlind() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        for _ in 0..<5 {
            host.bench.turn([.guests(.blind(reason: "no answer"))])
            host.run(for: .seconds(6))
            host.observe()
        }
        #expect(said(host)?.isBlind != true)
    }

    /// Its machine came back without a driver; before, it had one, and its watchdog was armed. It asks for its lease by itself, and
    /// nobody waits for it.
    @Test func aHostWithoutADriverSaysSo() {
        let lab = TestLab()
        _ = lab.add("pve1", .host, founds: "home")
        lab.run(for: .milliseconds(100))
        _ = lab.join("pve2", .host)
        var known = HostFacts(
            boot: "b1", memoryBytes: 1 << 34, cores: 8, storageAddress: "10.0.0.2", watchdogMilliseconds: 10_000)
        known.isGuarded = true
        lab.must(.workload(.reportHost("pve2", known)))
        lab.run(for: .seconds(1))
        lab.declare([
            Declaration(kind: "StoragePool", name: "rbd", spec: ["type": "cephRbd"]),
            Declaration(
                kind: gitlab.kind, name: gitlab.name,
                spec: ["proxmox": ["vmid": 120], "disks": [["name": "scsi0", "pool": "rbd"]]]),
        ])
        func placement() -> Placement { lab.nodes[0].core.state.placements[gitlab] ?? Placement() }
        func said() -> HostFacts? { lab.nodes[0].core.state.hosts["pve2"]?.facts }
        lab.must(.workload(.sight(gitlab, on: "pve2", Sighting(.absent))))
        lab.must(.workload(.place(gitlab, epoch: placement().epoch, on: "pve2", reason: "test", because: nil)))
        lab.run(for: .seconds(7))
        #expect(said() == known)
        lab.run(for: .seconds(4))
        known.isBlind = true
        known.isGuarded = false
        #expect(said() == known, "nobody feeds a watchdog; all else is as it was said last")
        #expect(placement().phase == .on("pve2") && placement().isDeclined, "it has begun nothing for it")
    }

    // MARK: After a start of the machine

    private func sightings(_ host: HostBench) -> Int {
        host.told.count { if case .sight = $0 { true } else { false } }
    }

    /// Its driver has never looked since the machine started anew.
    @Test func aHostWhoseDriverIsRefusedSaysInWhichBootItIs() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"), isRefused: true)
        host.run(for: .milliseconds(200))
        host.agree()
        #expect(host.placement(gitlab).sighting(on: "pve1") == .running)
        host.bench.turn([.guests(.refused(boot: "b2", watchdogMilliseconds: 10_000, reason: "no answer"))])
        host.run(for: .milliseconds(200))
        host.agree()
        #expect(host.bench.core.state.hosts["pve1"]?.facts.boot == "b2")
        #expect(host.placement(gitlab).sighting(on: "pve1") == nil, "what ran before runs no more")
    }

    @Test func aBootThatCouldNotBeReadIsNotTakenForAnotherOne() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"), isRefused: true)
        host.bench.turn([.guests(.refused(boot: "", watchdogMilliseconds: 10_000, reason: "no answer"))])
        host.run(for: .seconds(12))
        #expect(said(host)?.boot == "b1" && said(host)?.isBlind == true)
        host.agree()
        #expect(host.placement(gitlab).sighting(on: "pve1") == .running)
    }

    @Test func whatIsSeenInANewBootIsToldOnceTheBootIsKnown() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.run(for: .milliseconds(200))
        host.agree()
        var facts = host.facts(isGuarded: false)
        facts.boot = "b2"
        host.bench.turn([.guests(.host(facts))])
        let before = sightings(host)
        host.observe(.stopped, .stopped)
        host.run(for: .milliseconds(200))
        #expect(sightings(host) == before)
        host.agree()
        host.run(for: .milliseconds(200))
        #expect(sightings(host) == before + 2)
        host.agree()
        #expect(host.placement(gitlab).sighting(on: "pve1") == .stopped)
    }

    // MARK: What it was given

    /// gitlab was moved to pve2, which is fenced now; it is given back to this host, which has nothing of it.
    private func given(_ prepare: (inout HostBench) -> Void) -> HostBench {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(.workload(.sight(gitlab, on: "pve1", Sighting(.absent))))
        host.commit(
            .workload(
                .place(gitlab, epoch: host.placement(gitlab).epoch, on: "pve2", reason: "test", because: nil)),
            .workload(.beginFence("pve2", epoch: 0, .watchdog, by: AgentBench.own, reason: "test")),
            .workload(.fenceProven("pve2", epoch: 1, .watchdog, proof: "p")))
        host.observe(.absent)
        host.run(for: .milliseconds(200))
        prepare(&host)
        host.commit(
            .workload(
                .place(gitlab, epoch: host.placement(gitlab).epoch, on: "pve1", reason: "test", because: "pve2")))
        return host
    }

    private func declines(_ host: HostBench) -> Bool {
        host.told.contains(.decline(gitlab, epoch: host.placement(gitlab).epoch, from: "pve1"))
    }

    @Test func whatABlindHostHasNotBegunItDeclines() {
        var host = given { $0.bench.turn([.guests(.blind(reason: "no answer"))]) }
        host.run(for: .seconds(9))
        #expect(!declines(host))
        host.run(for: .seconds(2))
        #expect(declines(host))
        #expect(host.orders(of: .start).isEmpty)
        host.agree { if case .workload(.decline) = $0 { true } else { false } }
        #expect(host.placement(gitlab).isDeclined)
        // It sees again, and waits until it is given it anew.
        host.observe(.absent)
        host.run(for: .seconds(2))
        #expect(host.orders(of: .start).isEmpty)
        host.commit(
            .workload(
                .place(gitlab, epoch: host.placement(gitlab).epoch, on: "pve1", reason: "test", because: nil)))
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start).map(\.workload) == [gitlab])
    }

    @Test func whatABlindHostMayHaveBegunItKeeps() {
        var host = given { _ in }
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start).map(\.workload) == [gitlab])
        host.bench.turn([.guests(.blind(reason: "no answer"))])
        host.run(for: .seconds(12))
        #expect(!declines(host), "it may run by now")
        // The order ended, and nobody has looked since.
        let guest = HostBench.guests[gitlab]!
        host.bench.turn([.guests(.done(guest, epoch: host.placement(gitlab).epoch, .start))])
        host.run(for: .seconds(12))
        #expect(!declines(host))
    }

    /// What was said may be committed at any moment, and the guest given to another host then.
    @Test func whatIsBeingDeclinedIsNotStartedWhenTheHostSeesAgain() {
        var host = given { $0.bench.turn([.guests(.blind(reason: "no answer"))]) }
        host.run(for: .seconds(11))
        #expect(declines(host))
        host.observe(.absent)
        host.run(for: .seconds(2))
        #expect(host.orders(of: .start).isEmpty)
        host.agree { if case .workload(.decline) = $0 { true } else { false } }
        #expect(host.placement(gitlab).isDeclined)
        host.commit(
            .workload(
                .place(gitlab, epoch: host.placement(gitlab).epoch, on: "pve1", reason: "test", because: nil)))
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start).map(\.workload) == [gitlab])
    }

    /// It lies here after all: nobody takes its host's word that it has begun nothing.
    @Test func whatCannotBeDeclinedAnyMoreIsStarted() {
        var host = given { $0.bench.turn([.guests(.blind(reason: "no answer"))]) }
        host.run(for: .seconds(11))
        #expect(declines(host))
        host.observe(.stopped)
        host.run(for: .milliseconds(200))
        host.agree { if case .workload(.sight) = $0 { true } else { false } }
        #expect(host.placement(gitlab).sighting(on: "pve1") == .stopped)
        #expect(host.orders(of: .start).isEmpty, "it may be on its way")
        host.run(for: .seconds(12))
        #expect(host.orders(of: .start).map(\.workload) == [gitlab])
    }

    /// The hypervisor was away already when it was ordered.
    @Test(arguments: [true, false]) func aStartThatHasBegunNothingIsNoReasonToKeepIt(hasBegunNothing: Bool) {
        var host = given { _ in }
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start).map(\.workload) == [gitlab])
        let failure = GuestFailure("no connection", hasBegunNothing: hasBegunNothing)
        host.bench.turn([
            .guests(
                .failed(HostBench.guests[gitlab]!, epoch: host.placement(gitlab).epoch, .start, failure)),
            .guests(.blind(reason: "no connection")),
        ])
        host.run(for: .seconds(1))
        host.agree { if case .workload(.startFailed) = $0 { true } else { false } }
        #expect(host.placement(gitlab).failures == 1)
        host.run(for: .seconds(11))
        #expect(declines(host) == hasBegunNothing)
    }

    /// A word of the process before may be on its way still.
    @Test func nothingIsStartedBeforeTheClusterKnowsThatItSees() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.run(for: .milliseconds(200))
        var blind = host.bench.core.state.hosts["pve1"]!.facts
        blind.isBlind = true
        host.commit(.workload(.reportHost("pve1", blind)))
        let before = host.orders(of: .start).count
        for _ in 0..<3 { host.observe(.stopped) }
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start).count == before)
        host.agree()
        host.observe(.stopped)
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start).count > before)
    }

    /// A fence has to keep out all of them, and a process that was just started has found none yet.
    @Test func theClientsThatWereSeenOutliveTheAgent() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        let guest = HostBench.guests[gitlab]!
        func clients(_ host: HostBench) -> [String]? {
            for case .sight(gitlab, on: "pve1", let sighting) in host.told.reversed() { return sighting.clients }
            return nil
        }
        func see(_ observation: GuestObservation) {
            host.bench.turn([.guests(.observed([observation]))])
            host.run(for: .milliseconds(200))
            host.agree()
            host.run(for: .milliseconds(200))
        }
        var unasked = GuestObservation(guest, .stuck)
        unasked.clientsAreKnown = false
        see(unasked)
        #expect(clients(host) == [])
        host.commit(.workload(.sight(gitlab, on: "pve1", Sighting(.running, clients: ["10.1.0.1:0/1"]))))
        see(unasked)
        #expect(clients(host) == ["10.1.0.1:0/1"])
        see(GuestObservation(guest, .running, clients: ["10.1.0.1:0/2"]))
        #expect(clients(host) == ["10.1.0.1:0/2"])
        // Asked, and there is none any more: its disks lie elsewhere now.
        see(GuestObservation(guest, .running))
        #expect(clients(host) == [])
    }

    /// Nobody wrote it down, and no guest has a disk open yet that this process has seen.
    @Test func theStorageAddressThatWasSeenOutlivesTheAgent() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.run(for: .milliseconds(200))
        var facts = host.bench.core.state.hosts["pve1"]!.facts
        #expect(!facts.storageAddress.isEmpty)
        facts.storageAddress = ""
        host.bench.turn([.guests(.host(facts))])
        host.run(for: .milliseconds(200))
        #expect(said(host)?.storageAddress != "")
        // In another boot it may be another one.
        facts.boot = "another"
        host.bench.turn([.guests(.host(facts))])
        host.run(for: .milliseconds(200))
        #expect(said(host)?.storageAddress == "")
    }

    /// It was given it before this process had a lease: the one before may have begun to start it.
    @Test func whatTheProcessBeforeMayHaveBegunIsKept() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(.workload(.sight(gitlab, on: "pve1", Sighting(.absent))))
        host.bench.turn([.guests(.blind(reason: "no answer"))])
        host.run(for: .seconds(12))
        #expect(host.placement(gitlab).phase == .on("pve1"))
        #expect(said(host)?.isBlind == true)
        #expect(!declines(host))
    }
}
