// Labs with workloads: families of stories, every command and every unknown outcome at every step of a failover, and that
// the checks of the world see what they are there to see.

import SimulationFaults
import SimulationScenarios
import SimulationWorld
import Testing

@testable import holdfast_sim

@Suite struct WorkloadTests {
    @Test func thereAreEnoughFamilies() {
        let names = Family.all.map(\.name)
        #expect(names.count >= 60)
        #expect(Set(names).count == names.count)
        for family in Family.all { #expect(family.about.hasSuffix("."), "\(family.name)") }
    }

    @Test(arguments: Family.all.map(\.name)) func aFamilyHolds(name: String) throws {
        let family = try #require(Family.all.first { $0.name == name })
        // Many seeds of each are run in release, by Simulation/check.sh.
        expectHeld(family.plan(seed: 1))
    }

    @Test func oneSeedGivesOneTrace() throws {
        let family = try #require(Family.all.first { $0.name == "fences-in-turn" })
        let plan = family.plan(seed: 7)
        #expect(World(plan).run().hash == World(plan, tells: true).run().hash)
        #expect(World(family.plan(seed: 8)).run().hash != World(plan).run().hash)
    }

    @Test(arguments: Family.all.map(\.name)) func aFamilyReadsBack(name: String) throws {
        let family = try #require(Family.all.first { $0.name == name })
        var plan = family.plan(seed: 3)
        var read = try ScenarioFiles.plan(Array(ScenarioWriter.text(plan).utf8), file: "x.yaml")
        for index in plan.timeline.indices { plan.timeline[index].line = 0 }
        for index in read.timeline.indices { read.timeline[index].line = 0 }
        #expect(read == plan)
    }

    /// Whose a guest is is written to files that corosync carries, with a third vote and without.
    @Test(arguments: [true, false]) func nothingIsTakenOverBeforeCorosyncGoesOn(withQDevice: Bool) throws {
        for pause: Int64 in [1_500, 6_600, 12_000] {
            var plan = try Self.base(UInt64(pause))
            plan.hypervisors.hasQDevice = withQDevice
            plan.hypervisors.corosync = pause * 1_000_000
            let result = expectHeld(plan, "\(pause) ms")
            #expect(result.recoveries.map(\.workload).sorted() == ["ct:103", "vm:101", "vm:102"])
            for recovery in result.recoveries {
                let issued = try #require(recovery.issuedAt) - recovery.lostAt
                // Then the votes are lowered, if they have to be, and it is begun: within a second or two.
                #expect(issued >= pause * 1_000_000, "\(pause) ms: \(recovery)")
                #expect(issued <= max(pause, 4_000) * 1_000_000 + 2_000_000_000, "\(pause) ms: \(recovery)")
            }
        }
    }

    /// Who leads next has followed the one that is lost, and knows since when it has been silent: no election is waited for twice.
    @Test func theLossOfTheLeaderIsFoundAsSoonAsThatOfAnotherHost() throws {
        for victim in ["pve1", "pve2"] {
            for seed in UInt64(1)...10 {
                var plan = try Self.base(seed)
                // The monitors' own election is not what is looked at.
                plan.hypervisors.election = 100_000_000...200_000_000
                plan.timeline = [Plan.Moment(at: 10_000_000_000, action: .powerOff(victim))]
                let result = expectHeld(plan, "\(victim) is lost")
                #expect(!result.recoveries.isEmpty)
                for recovery in result.recoveries {
                    let issued = try #require(recovery.issuedAt) - recovery.lostAt
                    #expect(issued <= 3_000_000_000, "\(victim), seed \(seed): \(recovery)")
                }
            }
        }
    }

    // MARK: At every step

    private static let steps: [Int64] = [0, 300, 900, 1_500, 2_600, 4_000, 5_500, 9_000]

    private static func base(_ seed: UInt64) throws -> Plan {
        var plan = try Tree.plan("guests-survive-their-host", seed: seed)
        plan.expect = Plan.Expectation()
        return plan
    }

    /// 55: nobody hears how the call went that is made next after each moment of a failover.
    @Test("55 an unknown outcome at every step", arguments: steps)
    func everyStepWithAnUnknownOutcome(milliseconds: Int64) throws {
        for (number, host) in ["pve2", "pve1"].enumerated() {
            var plan = try Self.base(UInt64(milliseconds + 1))
            // The host that returns cleans up by calls as well.
            plan.timeline = [
                Plan.Moment(at: 10_000_000_000, action: number == 0 ? .powerOff("pve1") : .isolate("pve1")),
                Plan.Moment(at: 10_000_000_000 + milliseconds * 1_000_000, action: .unknownOutcome("pve2")),
                Plan.Moment(at: 40_000_000_000, action: .unknownOutcome(host)),
                Plan.Moment(at: 41_000_000_000, action: number == 0 ? .powerOn("pve1") : .rejoin("pve1")),
            ]
            expectHeld(plan, ", unknown outcome after \(milliseconds) ms")
        }
    }

    /// Whoever lifts a fence stands still in the midst of it, while the host is fenced once more: what it was ordered comes too
    /// late, and opens nothing.
    @Test(arguments: steps) func aLiftThatComesLateOpensNoNewerFence(milliseconds: Int64) throws {
        var plan = try Self.base(UInt64(milliseconds + 1))
        plan.timeline = [
            Plan.Moment(at: 10_000_000_000, action: .isolate("pve1")),
            Plan.Moment(at: 20_000_000_000, action: .rejoin("pve1")),
            Plan.Moment(
                at: 20_000_000_000 + milliseconds * 250_000, action: .pauseAgent("pve2", 8_000_000_000)),
            Plan.Moment(at: 24_000_000_000, action: .isolate("pve1")),
            Plan.Moment(at: 60_000_000_000, action: .rejoin("pve1")),
        ]
        expectHeld(plan, ", the agent of pve2 stands still")
    }

    // MARK: Claims

    /// vm:104 ends by itself, and something befalls its host at some moment before the call that would start it again.
    private static func afterACrash(_ happenings: [Happening], after milliseconds: Int64) throws -> Plan {
        var plan = try base(UInt64(milliseconds + 1))
        plan.hypervisors.look = 100_000_000
        plan.timeline = [Plan.Moment(at: 10_000_000_000, action: .crash("vm:104"))]
        for (number, action) in happenings.enumerated() {
            let at = 10_000_000_000 + milliseconds * 1_000_000 + Int64(number) * 20_000_000_000
            plan.timeline.append(Plan.Moment(at: at, action: action))
        }
        return plan
    }

    private static let moments: [Int64] = (0...24).map { $0 * 10 }

    /// The agent stands still with its order, and the guest is placed elsewhere meanwhile.
    @Test func anOrderThatWasOvertakenIsNotCarriedOut() throws {
        var marks = Marks()
        for milliseconds in Self.moments {
            let plan = try Self.afterACrash([.pauseAgent("pve2", 15_000_000_000)], after: milliseconds)
            marks.formUnion(expectHeld(plan, ", the agent stands still after \(milliseconds) ms").marks)
        }
        #expect(marks.has(.orderSuperseded))
    }

    /// The host is cut off with its order: it cannot ask, and starts nothing.
    @Test func anOrderThatNobodyConfirmsIsNotCarriedOut() throws {
        var refused = 0
        for milliseconds in Self.moments {
            let plan = try Self.afterACrash([.isolate("pve2"), .rejoin("pve2")], after: milliseconds)
            let result = World(plan, tells: true).run()
            #expect(result.isGood, "cut off after \(milliseconds) ms: \(result.violations)")
            let isRefused = result.story.contains { $0.words.contains("nobody says that it is still wanted") }
            if isRefused { refused += 1 }
        }
        #expect(refused > 0)
    }

    /// 58: what people command about workloads and hosts, at every step of a failover.
    @Test("58 every command about workloads at every step", arguments: steps)
    func everyLabCommandAtEveryStep(milliseconds: Int64) throws {
        let commands: [Happening] = [
            .setWorkload("vm:101", "stopped"), .setWorkload("vm:101", "ignored"),
            .moveWorkload("vm:101", "pve2", live: true), .moveWorkload("vm:104", "pve1", live: false),
            .drain("pve1", true), .drain("pve2", true), .rebootHost("pve1", isForced: false),
            .rebootHost("pve2", isForced: false), .rebootHost("pve2", isForced: true), .cancelReboot("pve1"),
            .disarm(60_000_000_000), .confirmOff("pve1"),
            .deleteWorkload("vm:102"), .load("vm:101", cores: 2, memory: 4 << 30), .handMove("vm:104", "pve1"),
            .handStop("vm:104"), .handStart("vm:101"), .crash("vm:104"), .hang("vm:104"), .lock("vm:101"),
            .failAPI("pve2", 5_000_000_000), .expireBlocklist, .transferLeadership("witness"),
        ]
        let place = try #require(Self.steps.firstIndex(of: milliseconds))
        for (number, command) in commands.enumerated() where (place + number) % 2 == 0 {
            var plan = try Self.base(UInt64(number + 1))
            plan.timeline.append(Plan.Moment(at: 10_000_000_000 + milliseconds * 1_000_000, action: command))
            expectHeld(plan, ", \(command) after \(milliseconds) ms")
        }
    }
}
