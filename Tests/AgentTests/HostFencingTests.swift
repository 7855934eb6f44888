// A host with guests that follows a leader which the test plays: what it does to its own watchdog and to its guests when its
// lease ends, when it stops, and when it comes back from a fence.

import Cluster
import Consensus
import Kinds
import Testing

@testable import Agent

/// pve1 with its hypervisor; pve2 leads, and says what is committed.
struct HostBench {
    static let gitlab = ResourceKey(kind: "VirtualMachine", name: "gitlab")
    static let vault = ResourceKey(kind: "VirtualMachine", name: "vault")
    static let guests = [
        gitlab: Guest(workload: gitlab, form: .machine, vmid: 120),
        vault: Guest(workload: vault, form: .machine, vmid: 121),
    ]

    var bench: AgentBench
    private var last: UInt64 = 0
    /// What of its own proposals has been committed.
    private var agreed: [[UInt8]] = []

    /// - Parameters:
    ///   - pools: the type of the pool of each guest.
    ///   - leftArmed: what the process before this one had said of the watchdog.
    ///   - isRefused: its driver may not take part.
    init(
        pools: (gitlab: String, vault: String) = ("shared", "cephRbd"), leftArmed: Bool = false, isRefused: Bool = false
    ) {
        bench = AgentBench.follower(of: [], commit: 0)
        commit(
            .bootstrap(clusterName: "home", member: AgentBench.record(AgentBench.peer, "pve2", .host)),
            .createToken(JoinToken(id: "t", secretHash: "h", kind: .host, expiresMilliseconds: .max)),
            .join(tokenID: "t", secretHash: "h", member: AgentBench.record(AgentBench.own, "pve1", .host)),
            .observeMember(AgentBench.own, reachable: true, reason: "test"),
            .workload(.reportHost("pve1", facts(isGuarded: leftArmed))),
            .workload(.reportHost("pve2", Self.peerFacts)),
            .apply(
                declarations: [
                    Declaration(kind: "StoragePool", name: "a", spec: ["type": .string(pools.gitlab)]),
                    Declaration(kind: "StoragePool", name: "b", spec: ["type": .string(pools.vault)]),
                    declaration(Self.gitlab), declaration(Self.vault),
                ], checkRevision: nil))
        let refusal = GuestReport.refused(boot: "b1", watchdogMilliseconds: 10_000, reason: "it is hidden")
        bench.turn([.guests(isRefused ? refusal : .host(facts(isGuarded: false)))])
        for key in [Self.gitlab, Self.vault] {
            commit(.workload(.sight(key, on: "pve1", Sighting(.running))))
            commit(.workload(.place(key, epoch: placement(key).epoch, on: "pve1", reason: "test", because: nil)))
        }
        if !isRefused { observe() }
    }

    /// Its watchdog is armed.
    static var peerFacts: HostFacts {
        var facts = HostFacts(
            boot: "b1", memoryBytes: 1 << 34, cores: 8, storageAddress: "10.0.0.2", watchdogMilliseconds: 10_000)
        facts.isGuarded = true
        return facts
    }

    func facts(isGuarded: Bool) -> HostFacts {
        var facts = HostFacts(
            boot: "b1", memoryBytes: 1 << 34, cores: 8, storageAddress: "10.0.0.1", watchdogMilliseconds: 10_000)
        facts.isGuarded = isGuarded
        return facts
    }

    func declaration(_ key: ResourceKey, desired: String = "running") -> Declaration {
        Declaration(
            kind: key.kind, name: key.name,
            spec: [
                "proxmox": ["vmid": key == Self.gitlab ? 120 : 121, "memory": "4Gi"],
                "disks": [["name": "scsi0", "pool": key == Self.gitlab ? "a" : "b"]], "desired": .string(desired),
            ])
    }

    mutating func commit(_ commands: Command...) {
        bench.append(commands, after: last, commit: Int(last) + commands.count)
        last += UInt64(commands.count)
    }

    /// Commits what this host has proposed and is not in the log yet, and more, all at once.
    mutating func agree(followedBy next: [Command] = [], where isWanted: (Command) -> Bool = { _ in true }) {
        var fresh: [[UInt8]] = []
        for frame in bench.sent {
            guard case .proposal(_, let bytes) = frame.body, !agreed.contains(bytes),
                let record = try? CanonicalJSON.decode(CommandRecord.self, from: bytes), isWanted(record.command)
            else { continue }
            fresh.append(bytes)
            agreed.append(bytes)
        }
        fresh += AgentBench.encoded(next, after: last + UInt64(fresh.count)).compactMap { $0 }
        bench.append(records: fresh, after: last, commit: Int(last) + fresh.count)
        last += UInt64(fresh.count)
    }

    mutating func lease() { bench.grant(floor: last) }

    /// The lease is renewed all the while.
    mutating func run(for length: Interval) {
        let end = bench.now + length
        while bench.now < end {
            lease()
            bench.run(for: .milliseconds(100))
        }
    }

    mutating func observe(
        _ gitlab: GuestState = .running, _ vault: GuestState? = .running, also other: [GuestObservation] = []
    ) {
        var seen = [GuestObservation(Self.guests[Self.gitlab]!, gitlab)]
        if let vault { seen.append(GuestObservation(Self.guests[Self.vault]!, vault)) }
        bench.turn([.guests(.observed(seen + other))])
    }

    func placement(_ key: ResourceKey) -> Placement { bench.core.state.placements[key] ?? Placement() }

    /// Armed, and known to be.
    mutating func guarded() {
        run(for: .milliseconds(200))
        agree()
        run(for: .milliseconds(200))
    }

    /// The commands that this host has proposed about workloads.
    var told: [WorkloadCommand] {
        bench.sent.compactMap { frame in
            guard case .proposal(_, let bytes) = frame.body,
                let record = try? CanonicalJSON.decode(CommandRecord.self, from: bytes),
                case .workload(let command) = record.command
            else { return nil }
            return command
        }
    }

    var isClosed: Bool { bench.watchdogOrders.last == .close }
    func orders(of step: GuestStep) -> [Guest] {
        bench.guestOrders.compactMap { order in
            switch order {
            case .destroy(let guest, _) where step == .destroy: guest
            case .start(let guest, _, _, _) where step == .start: guest
            case .migrate(let guest, _, _, _) where step == .migrate: guest
            default: nil
            }
        }
    }
}

@Suite struct HostFencingTests {
    private let gitlab = HostBench.guests[HostBench.gitlab]!
    private let vault = HostBench.guests[HostBench.vault]!

    // MARK: The watchdog without a lease

    @Test func theWatchdogIsNotDisarmedWhileAGuestRunsThatItsProofIsCountedOnFor() {
        var host = HostBench()
        host.guarded()
        host.bench.run(for: .milliseconds(5_500))
        #expect(host.orders(of: .destroy) == [gitlab], "another's disks are fenced otherwise first")
        host.bench.turn([.guests(.done(gitlab, epoch: host.placement(HostBench.gitlab).epoch, .destroy))])
        host.observe(.stopped, .running)
        host.bench.run(for: .milliseconds(500))
        #expect(!host.isClosed, "a proof by the watchdog would let it be started elsewhere")
        host.observe(.stopped, nil)
        #expect(!host.isClosed, "what nobody has looked at may be running")
        host.observe(.stopped, .stopped)
        #expect(host.isClosed)
    }

    /// Found by seed 620 of the profile `workloads`: the cluster waits for the time of a watchdog that is disarmed by then.
    @Test func whatIsStartedByHandAfterTheWatchdogWasDisarmedWithoutALeaseIsEndedToo() {
        var host = HostBench(pools: ("shared", "shared"))
        host.guarded()
        host.bench.run(for: .milliseconds(5_500))
        for guest in [gitlab, vault] {
            host.bench.turn([.guests(.done(guest, epoch: host.placement(guest.workload).epoch, .destroy))])
        }
        host.observe(.stopped, .stopped)
        #expect(host.isClosed)
        host.observe(.stopped, .running)
        #expect(host.orders(of: .destroy) == [gitlab, vault, vault])
        host.bench.turn([.guests(.done(vault, epoch: host.placement(HostBench.vault).epoch, .destroy))])
        host.observe(.stopped, .stopped)
        host.lease()
        host.observe(.stopped, .running)
        #expect(host.orders(of: .destroy).count == 3, "under a lease it may run")
    }

    @Test func aGuestThatCannotBeEndedIsNotOrderedToEndAgainAtOnce() {
        var host = HostBench()
        host.guarded()
        host.bench.run(for: .milliseconds(5_500))
        for _ in 0..<5 {
            host.bench.turn([
                .guests(
                    .failed(
                        gitlab, epoch: host.placement(HostBench.gitlab).epoch, .destroy, GuestFailure("it hangs")))
            ])
            host.observe()
        }
        #expect(host.orders(of: .destroy) == [gitlab])
        #expect(!host.isClosed)
    }

    /// Found by seed 753 of the profile `workloads`: the agent was killed, what needed the watchdog was deleted, and the process
    /// after it left it to fire.
    @Test func aWatchdogThatTheProcessBeforeLeftArmedIsFedAndDisarmedByThisOne() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"), leftArmed: true)
        host.bench.run(for: .milliseconds(500))
        #expect(host.bench.watchdogOrders.isEmpty, "without a lease it feeds nothing")
        #expect(
            !host.told.contains(.reportHost("pve1", host.facts(isGuarded: false))),
            "what it cannot know it does not take back")
        host.run(for: .milliseconds(200))
        #expect(host.bench.watchdogOrders.contains { if case .feed = $0 { true } else { false } })
        #expect(host.told.last == .reportHost("pve1", host.facts(isGuarded: false)), "nothing needs it")
        #expect(!host.isClosed, "the cluster counts on it")
        host.agree()
        host.run(for: .milliseconds(200))
        #expect(host.isClosed)
        #expect(host.orders(of: .destroy).isEmpty)
    }

    // MARK: A planned stop

    @Test func anAgentThatStopsDisarmsItsWatchdogOnceTheClusterKnows() {
        var host = HostBench()
        host.guarded()
        host.bench.turn([.stop])
        host.run(for: .seconds(1))
        #expect(!host.bench.stopped && !host.isClosed, "the cluster counts on it")
        #expect(host.told.last == .reportHost("pve1", host.facts(isGuarded: false)))
        host.agree { if case .stopping = $0 { true } else { false } }
        host.run(for: .seconds(1))
        #expect(!host.bench.stopped && !host.isClosed, "it has said that it stops, and not yet that nobody is guarded")
        host.agree()
        host.run(for: .milliseconds(200))
        #expect(host.isClosed)
        #expect(host.bench.stopped)
        #expect(host.orders(of: .destroy).isEmpty, "its guests go on")
    }

    @Test func anAgentThatCannotSayThatItStopsEndsTheGuestsThatNeedTheWatchdogFirst() {
        var host = HostBench(pools: ("shared", "shared"))
        host.guarded()
        host.bench.turn([.stop])
        host.bench.run(for: .seconds(6))
        #expect(host.orders(of: .destroy) == [gitlab, vault])
        #expect(!host.bench.stopped)
        for guest in [gitlab, vault] {
            host.bench.turn([.guests(.done(guest, epoch: host.placement(guest.workload).epoch, .destroy))])
        }
        host.observe(.stopped, .stopped)
        #expect(host.isClosed)
        host.bench.run(for: .seconds(10))
        #expect(host.bench.stopped)
    }

    @Test func anAgentThatCanNeitherSayItNorEndThemStopsWithItsWatchdogArmed() {
        var host = HostBench()
        host.guarded()
        host.bench.turn([.stop])
        host.bench.run(for: .seconds(14))
        #expect(host.bench.stopped)
        #expect(!host.isClosed, "whoever counts on the reset must not be wrong")
    }

    // MARK: Back from a fence

    /// Fenced with gitlab and vault on it, which go to pve2.
    private func fenced() -> HostBench {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(
            .observeMember(AgentBench.own, reachable: false, reason: "test"),
            .workload(.beginFence("pve1", epoch: 0, .cephBlocklist, by: AgentBench.peer, reason: "test")),
            .workload(.fenceProven("pve1", epoch: 1, .cephBlocklist, barred: ["10.0.0.1"], proof: "p")))
        for key in [HostBench.gitlab, HostBench.vault] {
            host.commit(
                .workload(
                    .place(key, epoch: host.placement(key).epoch, on: "pve2", reason: "test", because: nil)))
        }
        return host
    }

    @Test(arguments: [true, false])
    func whatIsLeftAloneOrDeletedMeanwhileIsEndedBeforeTheHostIsClean(isDeleted: Bool) {
        var host = fenced()
        if isDeleted {
            host.commit(.delete(keys: [HostBench.vault], checkRevision: nil))
        } else {
            host.commit(
                .apply(declarations: [host.declaration(HostBench.vault, desired: "ignored")], checkRevision: nil))
        }
        host.commit(.observeMember(AgentBench.own, reachable: true, reason: "test"))
        host.observe(.stopped, nil)
        host.run(for: .milliseconds(500))
        #expect(host.bench.guestOrders.last == .watch([gitlab, vault]))
        #expect(!host.told.contains(.hostIsClean("pve1", epoch: 1)), "nobody has looked at vault")
        host.observe(.stopped, .stuck)
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .destroy) == [vault])
        host.bench.turn([.guests(.done(vault, epoch: 1, .destroy))])
        host.run(for: .milliseconds(200))
        #expect(!host.told.contains(.hostIsClean("pve1", epoch: 1)), "nobody has looked since")
        host.observe(.stopped, .absent)
        host.run(for: .milliseconds(200))
        #expect(host.told.contains(.hostIsClean("pve1", epoch: 1)))
    }

    /// Declared anew under the same name, with another number: what is left is the old one.
    @Test func aGuestOfTheSameNameIsNotTakenForTheOneThatIsLeft() {
        var host = fenced()
        var other = host.declaration(HostBench.vault)
        other.spec = [
            "proxmox": ["vmid": 999, "memory": "4Gi"], "disks": [["name": "scsi0", "pool": "b"]],
        ]
        host.commit(
            .delete(keys: [HostBench.vault], checkRevision: nil), .apply(declarations: [other], checkRevision: nil),
            .observeMember(AgentBench.own, reachable: true, reason: "test"))
        host.observe(
            .stopped, nil,
            also: [GuestObservation(Guest(workload: HostBench.vault, form: .machine, vmid: 999), .absent)])
        host.run(for: .milliseconds(500))
        #expect(!host.told.contains(.hostIsClean("pve1", epoch: 1)))
        host.observe(.stopped, .absent)
        host.run(for: .milliseconds(200))
        #expect(host.told.contains(.hostIsClean("pve1", epoch: 1)))
    }

    @Test func aHostIsNotCleanWhileAnOrderIsUnderWay() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.observe(.stopped)
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start) == [gitlab])
        let epoch = host.placement(HostBench.gitlab).epoch
        host.commit(
            .workload(.beginFence("pve1", epoch: 0, .cephBlocklist, by: AgentBench.peer, reason: "test")),
            .workload(.fenceProven("pve1", epoch: 1, .cephBlocklist, barred: ["10.0.0.1"], proof: "p")))
        #expect(host.orders(of: .destroy) == [vault])
        host.bench.turn([.guests(.done(vault, epoch: 1, .destroy))])
        host.observe(.stopped, .stopped)
        host.run(for: .seconds(2))
        #expect(!host.told.contains(.hostIsClean("pve1", epoch: 1)), "it may be started yet")
        host.bench.turn([.guests(.failed(gitlab, epoch: epoch, .start, GuestFailure("no")))])
        host.observe(.stopped, .stopped)
        host.run(for: .milliseconds(200))
        #expect(host.told.contains(.hostIsClean("pve1", epoch: 1)))
    }

    @Test func nothingIsStartedWhileAFenceOfTheHostIsOpen() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        host.commit(.workload(.beginFence("pve1", epoch: 0, .watchdog, by: AgentBench.peer, reason: "test")))
        host.observe(.stopped)
        host.run(for: .seconds(2))
        #expect(host.orders(of: .start).isEmpty)
        host.commit(.workload(.cancelFence("pve1", epoch: 1)))
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start) == [gitlab])
    }

    /// A member that has just started reads old fences in its log.
    @Test func aFenceIsNotCarriedOutWithoutALease() {
        var host = HostBench()
        host.bench.run(for: .seconds(1))
        host.commit(
            .observeMember(AgentBench.peer, reachable: false, reason: "test"),
            .workload(.beginFence("pve2", epoch: 0, .cephBlocklist, by: AgentBench.own, reason: "test")))
        #expect(host.bench.fenceOrders.isEmpty)
        host.run(for: .milliseconds(200))
        #expect(host.bench.fenceOrders.count == 1)
    }

    // MARK: Starting

    /// Lost before the cluster knows, its host would not be taken for one that resets itself.
    @Test func aGuestWaitsUntilTheClusterKnowsThatTheWatchdogIsArmed() {
        var host = HostBench()
        host.observe(.stopped)
        host.run(for: .milliseconds(500))
        #expect(!host.bench.watchdogOrders.isEmpty && !host.isClosed)
        #expect(host.orders(of: .start).isEmpty)
        host.agree()
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start) == [gitlab])
    }

    @Test func aGuestWaitsForWhatItDependsOn() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        var declaration = host.declaration(HostBench.vault)
        guard case .object(var spec) = declaration.spec else { return }
        spec["dependsOn"] = ["VirtualMachine/gitlab"]
        declaration.spec = .object(spec)
        host.commit(.apply(declarations: [declaration], checkRevision: nil))
        host.commit(.workload(.sight(HostBench.gitlab, on: "pve1", Sighting(.stopped))))
        host.observe(.stopped, .stopped)
        host.run(for: .seconds(1))
        #expect(host.orders(of: .start) == [gitlab])
        host.commit(.workload(.sight(HostBench.gitlab, on: "pve1", Sighting(.running))))
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start) == [gitlab, vault])
    }

    /// The other half of the hypervisor's cluster may be at work.
    @Test func votesAreLoweredOnlyWhenEveryOtherHostIsFenced() {
        // It is there for this cluster, which says nothing of Proxmox's own.
        var beside = HostBench(pools: ("cephRbd", "cephRbd"))
        beside.commit(.observeMember(AgentBench.peer, reachable: true, reason: "test"))
        beside.observe(.stopped)
        beside.run(for: .milliseconds(200))
        #expect(
            beside.bench.guestOrders.last
                == .start(
                    gitlab, epoch: beside.placement(HostBench.gitlab).epoch, takeFrom: [], provenAway: []))
        for isFenced in [false, true] {
            var host = HostBench(pools: ("cephRbd", "cephRbd"))
            host.commit(
                .observeMember(AgentBench.peer, reachable: false, reason: "test"),
                .workload(.beginFence("pve2", epoch: 0, .watchdog, by: AgentBench.own, reason: "test")))
            if isFenced { host.commit(.workload(.fenceProven("pve2", epoch: 1, .watchdog, proof: "p"))) }
            host.observe(.stopped)
            host.run(for: .milliseconds(200))
            let epoch = host.placement(HostBench.gitlab).epoch
            #expect(
                host.bench.guestOrders.last
                    == .start(gitlab, epoch: epoch, takeFrom: [], provenAway: isFenced ? ["pve2"] : []))
        }
    }

    @Test func withoutTheHypervisorsQuorumAStartWaits() {
        var host = HostBench(pools: ("cephRbd", "cephRbd"))
        var facts = host.facts(isGuarded: false)
        facts.isQuorate = false
        host.commit(
            .observeMember(AgentBench.peer, reachable: false, reason: "test"),
            .workload(.beginFence("pve2", epoch: 0, .watchdog, by: AgentBench.own, reason: "test")))
        host.bench.turn([.guests(.host(facts))])
        host.observe(.stopped)
        host.run(for: .seconds(1))
        #expect(host.orders(of: .start).isEmpty)
        host.commit(.workload(.fenceProven("pve2", epoch: 1, .watchdog, proof: "p")))
        host.run(for: .milliseconds(200))
        #expect(host.orders(of: .start) == [gitlab])
    }
}
