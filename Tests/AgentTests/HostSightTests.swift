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

    /// Its driver was refused; the process before this one had one.
    @Test func aHostWithoutADriverSaysSo() {
        let known = HostFacts(boot: "b1", memoryBytes: 1 << 34, cores: 8, storageAddress: "10.0.0.1")
        var bench = AgentBench.follower(
            of: [
                .bootstrap(clusterName: "home", member: AgentBench.record(AgentBench.peer, "pve2", .host)),
                .createToken(JoinToken(id: "t", secretHash: "h", kind: .host, expiresMilliseconds: .max)),
                .join(tokenID: "t", secretHash: "h", member: AgentBench.record(AgentBench.own, "pve1", .host)),
                .workload(.reportHost("pve1", known)),
            ], commit: 4)
        func told() -> [WorkloadCommand] {
            bench.sent.compactMap { frame in
                guard case .proposal(_, let bytes) = frame.body,
                    let record = try? CanonicalJSON.decode(CommandRecord.self, from: bytes),
                    case .workload(let command) = record.command
                else { return nil }
                return command
            }
        }
        for _ in 0..<95 {
            bench.grant(floor: 4)
            bench.run(for: .milliseconds(100))
        }
        #expect(told().isEmpty)
        for _ in 0..<10 {
            bench.grant(floor: 4)
            bench.run(for: .milliseconds(100))
        }
        var blind = known
        blind.isBlind = true
        #expect(told().first == .reportHost("pve1", blind), "all else is as it was said last")
    }

    // MARK: After a start of the machine

    private func sightings(_ host: HostBench) -> Int {
        host.told.count { if case .sight = $0 { true } else { false } }
    }

    /// Its driver has never looked since the machine started anew.
    @Test func aHostWhoseDriverIsRefusedSaysInWhichBootItIs() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"), isRefused: true)
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
