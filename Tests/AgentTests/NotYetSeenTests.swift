// Between the end of a step and the next look at a guest nobody knows what there is of it: it counts as running wherever that is
// the careful thing to think.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

@Suite struct NotYetSeenTests {
    private let gitlab = HostBench.guests[HostBench.gitlab]!
    private let vault = HostBench.guests[HostBench.vault]!

    private func done(_ guest: Guest, _ host: inout HostBench) {
        host.bench.turn([.guests(.done(guest, epoch: host.placement(guest.workload).epoch, .start))])
    }

    @Test func whatMustBeApartIsNotStartedBesideWhatWasJustStarted() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.run(for: .milliseconds(200))
        host.commit(
            .apply(
                declarations: [
                    Declaration(
                        kind: "PlacementRule", name: "two",
                        spec: ["affinity": "apart", "workloads": ["gitlab", "vault"]])
                ], checkRevision: nil))
        host.observe(.stopped, .stopped)
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start) == [gitlab])
        done(gitlab, &host)
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start) == [gitlab], "nobody has looked yet whether it runs")
        host.observe(.running, .stopped)
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start) == [gitlab])
        host.observe(.stopped, .stopped)
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start).count == 2, "and what did not come up is tried again")
    }

    /// Its start was ordered under a lease, and ends when there is none any more.
    @Test func theWatchdogStaysArmedForWhatWasJustStarted() {
        var host = HostBench(pools: ("shared", "shared"))
        host.guarded()
        host.observe(.stopped, .stopped)
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start) == [gitlab, vault])
        host.bench.run(for: .milliseconds(5_500))
        done(gitlab, &host)
        done(vault, &host)
        host.bench.run(for: .milliseconds(500))
        #expect(!host.isClosed)
        host.observe(.running, .running)
        #expect(host.orders(of: .destroy) == [gitlab, vault])
    }

    /// Its guests are shut down with the time that each is given, not with the machine.
    @Test func aMachineIsNotRestartedWithAGuestThatWasJustStarted() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.run(for: .milliseconds(200))
        for name in [HostBench.gitlab, HostBench.vault] {
            host.commit(.apply(declarations: [frozen(name)], checkRevision: nil))
        }
        host.observe(.stopped, .stopped)
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start) == [gitlab, vault])
        host.commit(.workload(.orderRestart("pve1", isForced: false)))
        host.run(for: .milliseconds(200))
        done(gitlab, &host)
        done(vault, &host)
        host.run(for: .seconds(1))
        #expect(!isEmptied(host))
        host.observe(.stopped, .stopped)
        host.run(for: .seconds(1))
        #expect(isEmptied(host))
    }

    /// It is empty, and asks whether the rest can do without it. In this bench it cannot.
    private func isEmptied(_ host: HostBench) -> Bool {
        host.bench.logged.contains { $0.hasPrefix("the restart of this machine waits: none of 0 voters") }
    }

    private func frozen(_ key: ResourceKey) -> Declaration {
        Declaration(
            kind: key.kind, name: key.name,
            spec: [
                "proxmox": ["vmid": key == HostBench.gitlab ? 120 : 121, "memory": "4Gi"],
                "disks": [["name": "scsi0", "pool": key == HostBench.gitlab ? "a" : "b"]],
                "onHostShutdown": "freeze",
            ])
    }
}
