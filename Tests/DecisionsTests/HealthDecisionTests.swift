// What is done about a workload that runs and is not well: when, how often, in which order, and when no more.

import Cluster
import Consensus
import Decisions
import Kinds
import Testing

@Suite struct HealthDecisionTests {
    private let vm = GuestBench.vm

    /// One that runs on pve2 with a check of 10 s grace and a budget.
    private func sick(
        restarts: Int64 = 1, moves: Int64 = 1, pool: String = "cephRbd", wasWell: Bool = true,
        action: String = "restart", hosts: [String] = ["pve1", "pve2"]
    ) -> GuestBench {
        var bench = GuestBench(pool: pool, hosts: hosts)
        bench.guest(
            on: "pve2",
            extra: [
                "health": ["tcp": "gitlab:80", "grace": "10s", "action": .string(action)],
                "recovery": ["budget": ["restarts": .int(restarts), "moves": .int(moves), "per": "1m"]],
            ])
        if wasWell { bench.apply(.sight(vm, on: "pve2", Sighting(.running, healthy: true))) }
        bench.apply(.sight(vm, on: "pve2", Sighting(.running, healthy: false)))
        return bench
    }

    private func pause(_ bench: GuestBench) -> Interval {
        guard let spec = bench.specs.workloads[vm] else { return .zero }
        return HealthDecisions.pause(bench.placement(), spec)
    }

    @Test func oneThatWasWellIsRestartedAtOnce() {
        var bench = sick()
        #expect(pause(bench) == .zero)
        bench.bench.view.healthFor[vm] = .zero
        #expect(bench.decide() == [.care(vm, epoch: 1, .restart, reason: "its health check fails")])
        bench.settle()
        #expect(bench.placement().care.isRestarting && bench.placement().care.restarts == 1)
        #expect(bench.decide().isEmpty, "its host is at it")
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        #expect(!bench.placement().care.isRestarting)
    }

    /// What is ended could not be started before that process has ended.
    @Test func whyItIsNotRestartedBesideAnotherProcessOfItIsTold() {
        var bench = sick()
        bench.apply(.sight(vm, on: "pve1", Sighting(.stuck)))
        bench.bench.view.healthFor[vm] = .zero
        bench.settle()
        #expect(!bench.placement().care.isRestarting)
        let words = "its health check fails, and it is not restarted: a process of it is on pve1"
        #expect(bench.placement().obstacle.hasPrefix(words), "\(bench.placement().obstacle)")
        bench.apply(.sight(vm, on: "pve1", Sighting(.absent)))
        bench.settle()
        #expect(bench.placement().care.isRestarting)
    }

    @Test func afterAStartItGetsItsGrace() {
        var bench = sick(wasWell: false)
        for seconds in [0, 9] {
            bench.bench.view.healthFor[vm] = .seconds(Int64(seconds))
            #expect(bench.decide().isEmpty)
        }
        bench.bench.view.healthFor[vm] = .seconds(10)
        bench.settle()
        #expect(bench.placement().care.isRestarting)
    }

    @Test func whatNobodyHasWatchedForLongIsNotActedOn() {
        let bench = sick()
        #expect(bench.decide().isEmpty, "this leader has not counted yet")
    }

    @Test func restartsThenAMoveThenItIsLeftAsItIs() {
        var bench = sick()
        bench.restart()
        #expect(pause(bench) == .seconds(10))
        bench.bench.view.healthFor[vm] = .seconds(9)
        #expect(bench.decide().isEmpty)
        bench.bench.view.healthFor[vm] = .seconds(10)
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: false))
        #expect(bench.placement().reason == "its health check fails, restarted once on pve2")
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve1", reason: ""))
        bench.apply(.sight(vm, on: "pve1", Sighting(.running, healthy: false)))
        #expect(pause(bench) == .seconds(20), "twice as long as before")
        bench.bench.view.healthFor[vm] = .seconds(20)
        bench.settle()
        #expect(
            bench.placement().obstacle
                == "its health check fails, restarted once and moved once, which is its budget; it is left as it is "
                + "until it is well or a person says so")
        #expect(bench.decide().isEmpty)
        // What else its host says of it leaves the words as they are.
        bench.apply(.sight(vm, on: "pve1", Sighting(.running, healthy: false, detail: "a restart is needed")))
        #expect(!bench.placement().obstacle.isEmpty && bench.decide().isEmpty)
        bench.apply(.sight(vm, on: "pve1", Sighting(.running, healthy: true)))
        #expect(bench.placement().obstacle.isEmpty)
        #expect(bench.placement().care.steps == 2, "not forgotten yet")
    }

    @Test func thePauseIsBounded() {
        var bench = sick(restarts: 10)
        var pauses: [Interval] = []
        for _ in 0..<6 {
            bench.restart()
            pauses.append(pause(bench))
        }
        #expect(pauses == [10, 20, 40, 60, 60, 60].map { .seconds($0) })
    }

    @Test func whatWasDoneIsForgottenWhenItHasBeenWellForAWhile() {
        var bench = sick()
        bench.restart()
        bench.apply(.sight(vm, on: "pve2", Sighting(.running, healthy: true)))
        bench.bench.view.healthFor[vm] = .seconds(59)
        #expect(bench.decide().isEmpty)
        bench.bench.view.healthFor[vm] = .seconds(60)
        bench.settle()
        #expect(bench.placement().care.steps == 0)
        bench.apply(.sight(vm, on: "pve2", Sighting(.running, healthy: false)))
        bench.settle()
        #expect(bench.placement().care.isRestarting, "the budget is there again")
    }

    @Test func onLocalDisksItIsNeverMoved() {
        var bench = sick(restarts: 0, pool: "local")
        bench.bench.view.healthFor[vm] = .seconds(100)
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
        #expect(bench.placement().obstacle.contains("its disks are on pve2"))
    }

    @Test func itIsMovedOnlyWhereItMayGoAndNotBackWhereItWasUnwell() {
        var bench = sick(restarts: 0, moves: 3)
        bench.bench.view.healthFor[vm] = .seconds(100)
        bench.settle()
        bench.apply(.moveEnded(vm, epoch: bench.placement().epoch, at: "pve1", reason: ""))
        bench.apply(.sight(vm, on: "pve1", Sighting(.running, healthy: false)))
        bench.settle()
        #expect(bench.placement().phase == .on("pve1"))
        #expect(bench.placement().obstacle == "its health check fails, moved once: no other host is there")
    }

    @Test func whileDisarmedOrOnlyReportedNothingIsDone() {
        var bench = sick()
        bench.bench.view.healthFor[vm] = .seconds(100)
        bench.apply(.disarm(milliseconds: 60_000))
        #expect(bench.decide().isEmpty)
        bench.apply(.disarm(milliseconds: nil))
        #expect(!bench.decide().isEmpty)
        var reported = sick(action: "report")
        reported.bench.view.healthFor[vm] = .seconds(100)
        #expect(reported.decide().isEmpty)
        #expect(reported.specs.tended.isEmpty)
    }

    @Test func aPersonsWordBeginsTheBudgetAnew() {
        var bench = sick()
        bench.restart()
        bench.apply(.steer(vm, .run))
        #expect(bench.placement().care.steps == 0)
    }

    @Test func aStepOfAnEarlierEpochOrForOneThatDoesNotRunDoesNothing() {
        var bench = sick()
        bench.apply(.care(vm, epoch: 0, .restart, reason: "late"))
        #expect(bench.placement().care.steps == 0)
        bench.apply(.sight(vm, on: "pve2", Sighting(.stopped)))
        bench.apply(.care(vm, epoch: 1, .restart, reason: "late"))
        #expect(bench.placement().care.steps == 0 && !bench.placement().care.isRestarting)
    }

    @Test func aPlacementWithCareIsReadBackFromASnapshot() throws {
        var bench = sick()
        bench.restart()
        bench.bench.view.healthFor[vm] = .seconds(10)
        bench.settle()
        #expect(bench.placement().care.left == ["pve2"] && bench.placement().care.restarts == 1)
        #expect(try ClusterState(encoded: bench.bench.state.encoded) == bench.bench.state)
    }

    @Test func nothingIsDoneAboutOneWhoseHostIsBeingFenced() {
        var bench = sick()
        bench.bench.view.healthFor[vm] = .seconds(100)
        bench.apply(.beginFence("pve2", epoch: 0, .cephBlocklist, by: DecisionBench.witness, reason: "test"))
        #expect(bench.decide().allSatisfy { if case .care = $0 { false } else { true } })
        // Decided before the fence, and read after it.
        for step in [CareStep.restart, .move(to: "pve1"), .end] {
            #expect(bench.outcome(.care(vm, epoch: 1, step, reason: "test")).code == .conflict)
        }
        #expect(bench.placement().phase == .on("pve2") && !bench.placement().care.isRestarting)
    }

    @Test func oneThatItsHostCouldNotStartAgainIsLeftRunning() {
        var bench = sick()
        bench.bench.view.healthFor[vm] = .seconds(100)
        var facts = bench.bench.state.hosts["pve2"]?.facts ?? HostFacts(boot: "", memoryBytes: 0, cores: 0)
        facts.isQuorate = false
        bench.apply(.reportHost("pve2", facts))
        #expect(bench.decide().isEmpty)
        facts.isQuorate = true
        bench.apply(.reportHost("pve2", facts))
        #expect(!bench.decide().isEmpty)
        // Nor is it moved where nothing can be started.
        bench.restart()
        var other = bench.bench.state.hosts["pve1"]?.facts ?? HostFacts(boot: "", memoryBytes: 0, cores: 0)
        other.isQuorate = false
        bench.apply(.reportHost("pve1", other))
        bench.bench.view.healthFor[vm] = .seconds(100)
        bench.settle()
        #expect(bench.placement().phase == .on("pve2"))
        #expect(bench.placement().obstacle == "its health check fails, restarted once: no other host is there")
    }

    /// It may have been well for long, and its host could do nothing about it.
    @Test func nothingIsDoneOnWhatAHostSaidBeforeItCouldLookNoMore() {
        var bench = sick()
        var blind = bench.bench.state.hosts["pve2"]?.facts ?? HostFacts(boot: "", memoryBytes: 0, cores: 0)
        blind.isBlind = true
        bench.apply(.reportHost("pve2", blind))
        bench.bench.view.healthFor[vm] = .seconds(100)
        #expect(bench.decide().isEmpty)
    }

    @Test func whoLeavesItsHostIsNotEndedBecauseItWasGivenUp() {
        var bench = sick(restarts: 0, moves: 0)
        bench.bench.view.healthFor[vm] = .seconds(100)
        bench.settle()
        #expect(bench.placement().obstacle.contains("which is its budget"))
        bench.apply(.orderRestart("pve2", isForced: false))
        #expect(bench.placement().obstacle.isEmpty, "its host waits until the leader has decided")
        bench.settle()
        #expect(bench.placement().phase == .moving(from: "pve2", to: "pve1", live: true))
    }
}

extension GuestBench {
    /// Its host restarts it, and it is as unwell as before.
    fileprivate mutating func restart() {
        bench.view.healthFor[Self.vm] = .seconds(100)
        settle()
        bench.view.healthFor[Self.vm] = nil
        apply(.sight(Self.vm, on: "pve2", Sighting(.stopped)))
        apply(.sight(Self.vm, on: "pve2", Sighting(.running, healthy: false)))
    }
}
