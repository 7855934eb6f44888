// Failovers of random labs: what is drawn, what counts as what, their statistics, and what the command refuses.

import SimulationFaults
import SimulationWorld
import Testing

@testable import holdfast_sim

@Suite struct FailoverTests {
    // MARK: What is drawn

    @Test(arguments: FailoverFence.allCases) func aLabIsAsItsRulesWantIt(fence: FailoverFence) {
        for seed in UInt64(1)...200 {
            let failover = Failover(seed: seed, fence: fence)
            let plan = failover.plan
            #expect(plan.members.filter { $0.kind == .host }.map(\.name) == ["pve1", "pve2"])
            #expect(plan.members.contains { $0.kind == .witness })
            #expect(plan.storage == (fence == .storage ? .ceph : .shared))
            #expect(plan.workloads.contains { $0.host == failover.victim && $0.desired == "running" })
            for rule in plan.rules {
                let places = plan.workloads.filter { rule.workloads.contains($0.name) }.map(\.host)
                switch rule.form {
                case .apart: #expect(Set(places).count == places.count)
                case .together: #expect(Set(places).count == 1)
                case .hosts(let hosts, strict: true):
                    #expect(places.allSatisfy { place in hosts.contains { $0.host == place } })
                case .hosts: break
                }
            }
        }
    }

    @Test func everyWayOfLosingAHostIsDrawn() {
        let drawn = Set((UInt64(1)...60).map { Failover(seed: $0, fence: .power).loss })
        #expect(drawn == Set(HostLoss.allCases))
    }

    @Test(arguments: FailoverFence.allCases) func aFewFailoversHold(fence: FailoverFence) {
        // Thousands are run in release.
        var statistics = FailoverStatistics()
        for seed in UInt64(1)...12 {
            let failover = Failover(seed: seed, fence: fence)
            statistics.add(FailoverOutcome(failover, World(failover.plan).run()), seed: seed, fence: fence)
        }
        #expect(statistics.failures == [])
        #expect(statistics.failovers == 12)
        let proof = ["storage": "blocklist"][fence.rawValue] ?? fence.rawValue
        #expect(statistics.running[proof]?.isEmpty == false)
        for proof in statistics.running.keys {
            for (issued, running) in zip(statistics.issued[proof] ?? [], statistics.running[proof] ?? []) {
                #expect(0 < issued && issued < running)
            }
        }
    }

    // MARK: What counts as what

    /// A failover with one guest on its victim, and a result in which nothing has happened yet.
    private static func scene(_ change: (inout Plan.Workload) -> Void = { _ in }) throws -> (Failover, RunResult) {
        for seed in UInt64(1)...500 {
            let failover = Failover(seed: seed, fence: .storage)
            guard failover.plan.workloads.count == 1, failover.plan.rules.isEmpty, failover.loss == .powerOff else {
                continue
            }
            var plan = failover.plan
            plan.workloads[0].storage = nil
            change(&plan.workloads[0])
            return (failover.with(plan), RunResult(name: plan.name, seed: seed))
        }
        return try #require(nil, "no seed draws one guest alone")
    }

    private static func lost(_ failover: Failover) -> RunResult.Lost {
        RunResult.Lost(workload: failover.plan.workloads[0].name, lostAt: failover.at, from: failover.victim)
    }

    @Test func aGuestThatStaysDownWithoutAReasonIsAViolation() throws {
        var (failover, result) = try Self.scene()
        result.lost = [Self.lost(failover)]
        let outcome = FailoverOutcome(failover, result)
        #expect(outcome.left == [])
        #expect(outcome.violations.count == 1)
        #expect(outcome.violations.first?.hasPrefix("notRecovered: ") == true)
    }

    @Test func localDisksAndTooLittleMemoryAreReasons() throws {
        var (local, result) = try Self.scene { $0.storage = .local }
        result.lost = [Self.lost(local)]
        #expect(FailoverOutcome(local, result).left == [.localDisks])
        let (large, _) = try Self.scene { $0.memory = 1 << 50 }
        result.lost = [Self.lost(large)]
        let outcome = FailoverOutcome(large, result)
        #expect(outcome.left == [.noCapacity])
        #expect(outcome.violations == [])
    }

    @Test func aStrictRuleIsAReason() throws {
        var (failover, result) = try Self.scene()
        var plan = failover.plan
        plan.rules = [
            Plan.Rule(
                .hosts([Plan.Rule.Preference(host: failover.victim, priority: 1)], strict: true),
                workloads: [plan.workloads[0].name])
        ]
        failover = failover.with(plan)
        result.lost = [Self.lost(failover)]
        #expect(FailoverOutcome(failover, result).left == [.rule])
    }

    @Test func aGuestOfACrashedHostMayComeBackAtHome() throws {
        var (failover, result) = try Self.scene()
        let name = failover.plan.workloads[0].name
        func recovery(on host: String) -> RunResult.Recovery {
            RunResult.Recovery(
                workload: name, lostAt: failover.at, issuedAt: failover.at + 5, startedAt: failover.at + 9,
                from: failover.victim, to: host, fence: "blocklist")
        }
        result.recoveries = [recovery(on: failover.victim)]
        #expect(FailoverOutcome(failover, result).backAtHome == 1)
        result.recoveries = [recovery(on: failover.survivor)]
        #expect(
            FailoverOutcome(failover, result).returns
                == [FailoverOutcome.Return(proof: "blocklist", issued: 5, running: 9)])
    }

    // MARK: Statistics

    @Test func percentilesAreByNearestRank() throws {
        let figures = try #require(FailoverStatistics.Figures((1...200).map(Int64.init).shuffled()))
        #expect(figures.count == 200)
        #expect([figures.least, figures.median, figures.percentile90] == [1, 100, 180])
        #expect([figures.percentile99, figures.most] == [198, 200])
        let one = try #require(FailoverStatistics.Figures([7]))
        #expect([one.least, one.median, one.percentile90, one.percentile99, one.most] == [7, 7, 7, 7, 7])
        #expect(FailoverStatistics.Figures([]) == nil)
    }

    @Test func outcomesAreCountedByTheirProof() throws {
        var (failover, result) = try Self.scene()
        result.lost = [Self.lost(failover)]
        let bad = FailoverOutcome(failover, result)
        result.lost = []
        result.recoveries = [
            RunResult.Recovery(
                workload: failover.plan.workloads[0].name, lostAt: failover.at, issuedAt: failover.at + 2_504_000_000,
                startedAt: failover.at + 4_005_000_000, from: failover.victim, to: failover.survivor,
                fence: "watchdog")
        ]
        var statistics = FailoverStatistics()
        statistics.add(FailoverOutcome(failover, result), seed: 1, fence: .power)
        statistics.add(bad, seed: 2, fence: .storage)
        #expect(statistics.failovers == 2)
        #expect(statistics.guests == 1)
        #expect(
            statistics.rows == [
                ["watchdog", "1", "start issued", "2.50", "2.50", "2.50", "2.50", "2.50"],
                ["", "", "running", "4.01", "4.01", "4.01", "4.01", "4.01"],
            ])
        #expect(statistics.failures.map(\.seed) == [2])
        #expect(statistics.failures.map(\.fence) == [.storage])
    }

    // MARK: The command

    @Test(arguments: [
        ["--count", "0"], ["--count", "1000001"], ["--count", "many"], ["--fence", "hope"], ["--jobs", "-1"],
        ["--stories", "1001"], ["--from", "18446744073709551615"], ["what"],
    ])
    func whatMakesNoSenseIsRefused(words: [String]) {
        #expect(throws: (any Error).self) { try FailoversCommand.parse(words) }
    }

    @Test func itsWordsAreRead() throws {
        let command = try FailoversCommand.parse(["--count", "20", "--fence", "watchdog", "--from", "7"])
        #expect(command.count == 20)
        #expect(command.fence == .watchdog)
        #expect(command.first == 7)
        #expect(try FailoversCommand.parse([]).count == 10_000)
    }

    @Test func theReportHasEveryNumber() throws {
        var (failover, result) = try Self.scene { $0.storage = .local }
        result.lost = [Self.lost(failover)]
        var total = FailoverRuns.Total()
        total.statistics.add(FailoverOutcome(failover, result), seed: 1, fence: .storage)
        let lines = FailoversCommand.report(total, first: 1)
        #expect(lines.contains("not taken over: 1"))
        #expect(lines.contains("  1: its disks are local to the lost host"))
        #expect(lines.contains("violations: 0"))
    }
}
