// Reading scenario files: what is understood, what is refused and in which words, and that what the shrinker writes reads
// back as the same plan.

import SimulationFaults
import SimulationScenarios
import SimulationWorld
import Testing

@testable import holdfast_sim

private func plan(_ text: String) throws -> Plan { try ScenarioFiles.plan(Array(text.utf8), file: "s.yaml") }

private func complaint(_ text: String) -> String {
    do {
        _ = try plan(text)
        return ""
    } catch {
        return "\(error)"
    }
}

/// A sound scenario, to which a test adds what it is about. Seven lines.
private let sound = """
    name: example
    about: An example.
    duration: 60s
    hosts: {pve1: {}, pve2: {}}
    members: {witness: {kind: witness}, cp1: {kind: guest, host: pve1}, late: {kind: host, joins: later}}
    addresses: {api: {candidates: [pve1, pve2]}}

    """

@Suite struct ScenarioReaderTests {
    @Test func everyFieldIsRead() throws {
        let plan = try plan(
            """
            name: everything
            about: All fields at once.
            seed: 7
            duration: 2m
            heal: 30s
            hosts: {pve1: {power: on, drift: -100ppm, version: 1.2.0}, pve2: {power: off}}
            members: {witness: {kind: witness}, cp1: {kind: guest, host: pve2, joins: later}}
            storage: local
            addresses: {api: {candidates: pve1, address: 192.168.1.99, preempt: always}, dns: {candidates: [pve1, cp1]}}
            clients: {count: 2, think: 1s, keys: 3}
            wires: {delay: 80us..2ms, loss: 0.5%, copies: 1%, late: 2%}
            disks: {latency: 1ms..9ms}
            boot: {hosts: 20s..30s, guests: 5s}
            probe: 10ms
            timing: {quorumLease: 400ms, promise: 430ms, memberLease: 400ms, electionTimeoutLeast: 460ms, electionTimeoutMost: 800ms}
            timeline:
              - {at: 40s, do: [heal, "step-clock pve1 -30s"]}
              - {at: 20s, do: cut pve1 pve2 one-way}
            expect:
              final: {"address:api": {holder: [pve1, pve2]}, dns: {holder: nobody}}
              never: [doubleAddress]
              recoveredWithin: 15s
              gaps: {api: 700ms}
              leader: pve1
              mostLeaderChanges: 3
            """)
        #expect(plan.seed == 7 && plan.length == 120_000_000_000 && plan.healsWithin == 30_000_000_000)
        #expect(plan.members.map(\.name) == ["pve1", "pve2", "witness", "cp1"])
        #expect(plan.members[0].driftPartsPerMillion == -100 && plan.members[0].version == "1.2.0")
        #expect(plan.members[3].joinsLater && plan.members[3].host == "pve2")
        #expect(plan.addresses[0].preempt == "always" && plan.addresses[1].candidates == ["pve1", "cp1"])
        #expect(plan.conditions.loss == 5_000 && plan.conditions.delay == 80_000...2_000_000)
        #expect(plan.conditions.guestBoot == 5_000_000_000...5_000_000_000)
        #expect(
            plan.timeline.map(\.action) == [
                .powerOff("pve2"), .cut("pve1", "pve2", oneWay: true), .healAll, .stepClock("pve1", -30_000_000_000),
            ])
        #expect(plan.timeline.map(\.line) == [6, 18, 17, 17])
        #expect(plan.expect.holders["dns"] == [] && plan.expect.holders["api"] == ["pve1", "pve2"])
        #expect(plan.expect.gaps["api"] == 700_000_000 && plan.expect.mostLeaderChanges == 3)
    }

    @Test func jsonIsReadToo() throws {
        let json = """
            {"name": "j", "about": "JSON.", "duration": "10s", "hosts": {"pve1": null, "pve2": {}},
             "timeline": [{"at": "5s", "do": "power-off pve2"}], "expect": {"quorum": false}}
            """
        let read = try plan(json)
        #expect(read.timeline == [Plan.Moment(at: 5_000_000_000, action: .powerOff("pve2"), line: 2)])
        #expect(read.expect.quorum == false)
    }

    @Test(arguments: [
        ("timelin: []", "s.yaml:7: found the field \"timelin\""), ("timelin: []", "did you mean timeline?"),
        ("clients: {cuont: 2}", "s.yaml:7: clients: found the field \"cuont\", expected one of count, think, keys"),
        ("heal: 30", "s.yaml:7: heal: found \"30\", expected a length of time with its unit"),
        ("wires: {loss: 10}", "wires.loss: found \"10\", expected a share in per cent"),
        ("wires: {delay: 5ms..2ms}", "expected two lengths of time with .. between them"),
        ("storage: nfs", "expected ceph, shared or local"),
        ("timeline: [{at: 5s, do: powr-off pve1}]", "found the verb \"powr-off\""),
        ("timeline: [{at: 5s, do: powr-off pve1}]", "did you mean power-off?"),
        ("timeline: [{at: 5s, do: power-off pev1}]", "found \"pev1\""),
        ("timeline: [{at: 5s, do: power-off pev1}]", "did you mean pve1?"),
        ("timeline: [{at: 60s, do: power-off pve1}]", "expected a moment before the end at 60s"),
        ("timeline:\n- {at: 5s, do: heal}\n- {at: 7, do: heal}", "s.yaml:9: timeline[1].at: found \"7\""),
        ("timeline: [{at: 5s, do: pause-guest pve1 3s}]", "expected a guest: cp1"),
        ("timeline: [{at: 5s, do: join cp1}]", "expected a machine declared with `joins: later`: late"),
        ("timeline: [{at: 5s, do: cut pve1}]", "expected cut M M [one-way]"),
        ("timeline: [{at: 5s, do: cut pve1 pve1}]", "expected two different machines"),
        ("timeline: [{at: 5s, do: pause-agent pve1 10}]", "found \"10\", expected a length of time with its unit"),
        ("timeline: [{at: 5s, do: drift-clock pve1 3%}]", "expected a rate like 300ppm"),
        ("timeline: [{at: 5s, do: version pve1 2}]", "expected a version like 1.2.0"),
        ("timeline: [{at: 5s, do: move api pve2}]", "for an address there is move-address A M"),
        ("timeline: [{at: 5s}]", "found no field `do`"), ("timeline: {at: 5s}", "expected a list of moments"),
        ("expect: {final: {\"address:apj\": {holder: pve1}}}", "did you mean api?"),
        ("expect: {never: [doubleAdress]}", "did you mean doubleAddress?"),
        ("expect: {leader: nobdy}", "expect.leader: found \"nobdy\""),
        ("expect: {quorum: maybe}", "expected true or false"), ("seed: -1", "expected a whole number"),
        ("name: again", "s.yaml:7: found \"name\" a second time"),
        ("timing: {promise: 100ms}", "promise must be at least quorumLease"),
    ])
    func whatIsWrongIsSaidWithItsLine(addition: String, words: String) {
        let said = complaint(sound + addition)
        #expect(said.contains(words), "\(said)")
        #expect(said.hasPrefix("s.yaml:"), "\(said)")
    }

    @Test func aScenarioSaysForHowLongAndWhoIsThere() {
        let said = complaint("name: x\nhosts: {pve1: {}}")
        #expect(said.contains("s.yaml:1: found no field `duration`"))
        #expect(complaint("about: No hosts.\nduration: 1s").contains("found no field `hosts`"))
        let twice = complaint("about: Twice.\nduration: 1s\nhosts: {a: {}}\nmembers: {a: {kind: host}}")
        #expect(twice.contains("a second machine of this name"))
        let lost = complaint("about: Lost.\nduration: 1s\nhosts: {a: {}}\nmembers: {g: {kind: guest, host: b}}")
        #expect(lost.contains("s.yaml:4: members.g.host: found \"b\", expected a host: a"))
    }

    @Test func everyErrorOfAFileIsFoundAtOnce() {
        let said = complaint(sound + "timeline:\n  - {at: 1, do: heal}\n  - {at: 2s, do: hael}\nexpect: {gap: {}}")
        #expect(said.split(separator: "\n").count == 3, "\(said)")
    }

    /// The documented format knows more than there is; each such word is answered with the part it waits for.
    @Test func whatIsNotBuiltIsNamed() {
        let said = complaint(sound + "expect: {never: [doubleAuthority]}")
        #expect(said.hasPrefix("s.yaml:7: ") && said.contains("waits for a part that is not there"), "\(said)")
        #expect(said.hasSuffix("(part: authorities)"), "\(said)")
    }

    /// It is refused by the cluster, which a run can only show once there is one.
    @Test func aWitnessOnAHostComesLater() {
        let lab = "about: A.\nduration: 1s\nhosts: {a: {}}\nmembers: {w: {kind: witness, host: "
        #expect(complaint(lab + "a}}").contains("members.w.host: ") && complaint(lab + "a}}").contains("joins: later"))
        #expect(complaint(lab + "b, joins: later}}").contains("expected a host: a"))
        #expect(complaint(lab + "a, joins: later}}") == "")
    }

    // MARK: Workloads

    /// The example of the documented format, and every verb about workloads.
    @Test func everythingAboutWorkloadsIsRead() throws {
        let plan = try plan(
            """
            name: host-loss-with-strict-rule
            about: A strict rule leaves no legal host, so the guest stays down until its host is back, and says why.
            duration: 720s
            hosts:      {node1: {power: on, memory: 128Gi, cores: 24}, node2: {power: on}, node3: {power: on}}
            members:    {witness: {kind: witness}, cp1: {kind: guest, host: node1, workload: "vm:101"}}
            storage:    ceph
            workloads:
              "vm:101": {host: node1, desired: running, failback: true, restarts: 1, moves: 1, live: true, memory: 4Gi, cores: 4,
                         faults: {startFails: 0, migrateFails: 0, stopFails: false, onlyOn: node2}}
              "vm:102": {host: node2}
              ct:103: {host: node3, desired: stopped}
            addresses:  {api: {candidates: [node1, node2]}}
            rules:
              - {kind: hostAffinity, workloads: ["vm:101"], hosts: {node1: 2, node2: 1}, strict: true}
              - {kind: workloadAffinity, sign: negative, workloads: ["vm:101", "vm:102"]}
              - {kind: workloadAffinity, sign: positive, workloads: ["vm:102", "ct:103"]}
            policy:     {onHostShutdown: failover}
            timeline:
              - at: 20s
                do: [drain node1, undrain node1, disarm 30m, arm, "set vm:101 stopped", "move vm:101 node2",
                     "relocate vm:101 node2", "hand-move vm:101 node2", "delete vm:101", "load vm:101 cores=2 memory=4Gi",
                     "fail-api node1 30s", unknown-outcome node1, "lock vm:101", "unlock vm:101", blocklist-expire,
                     "pause-guest vm:101 90s", "pause-guest cp1 90s",
                     "add ct:104 {host: node2, memory: 2Gi, faults: {startFails: 1, onlyOn: node2}}", "load ct:104 memory=1Gi"]
            expect:
              final: {"vm:101": {state: running, host: [node1]}, "ct:104": {host: node2}}
              never: [doubleRun, doubleAddress]
              recoveredWithin: 15s
              recoveries: {"vm:102": 10s}
              resets: []
            """)
        #expect(plan.storage == .ceph && plan.policy.onHostShutdown == "restart")
        #expect(plan.members[0].memory == 128 << 30 && plan.members[0].cores == 24)
        #expect(plan.members[4].workload == "vm:101")
        #expect(
            plan.workloads.map(\.key.description) == [
                "VirtualMachine/vm-101", "VirtualMachine/vm-102", "SystemContainer/ct-103",
            ])
        #expect(plan.workloads[0].memory == 4 << 30 && plan.workloads[0].faults.onlyOn == "node2")
        #expect(plan.workloads[1].failback == nil && plan.workloads[2].desired == "stopped")
        #expect(plan.rules.map(\.workloads) == [["vm:101"], ["vm:101", "vm:102"], ["vm:102", "ct:103"]])
        #expect(
            plan.rules[0].form
                == .hosts(
                    [.init(host: "node1", priority: 2), .init(host: "node2", priority: 1)], strict: true))
        #expect(plan.rules[1].form == .apart && plan.rules[2].form == .together)
        let actions = plan.timeline.map(\.action)
        #expect(actions.count == 19)
        #expect(actions.contains(.disarm(1_800_000_000_000)) && actions.contains(.disarm(nil)))
        #expect(actions.contains(.moveWorkload("vm:101", "node2", live: true)))
        #expect(actions.contains(.moveWorkload("vm:101", "node2", live: false)))
        #expect(actions.contains(.load("vm:101", cores: 2, memory: 4 << 30)))
        #expect(actions.contains(.pauseWorkload("vm:101", 90_000_000_000)))
        var added = Plan.Workload(name: "ct:104", host: "node2")
        added.memory = 2 << 30
        added.faults.startFails = 1
        added.faults.onlyOn = "node2"
        #expect(actions.contains(.addWorkload(added)))
        #expect(plan.expect.workloads["vm:101"]?.hosts == ["node1"] && plan.expect.resets == [])
        #expect(plan.expect.recoveries["vm:102"] == 10_000_000_000)
    }

    @Test(arguments: [
        ("workloads: {\"vm:99\": {host: pve1}}", "expected vm:NUMBER"),
        ("workloads: {db: {host: pve1}}", "expected vm:"),
        ("workloads: {\"vm:101\": {hots: pve1}}", "did you mean host?"),
        ("workloads: {\"vm:101\": {host: pve9}}", "did you mean pve1?"),
        ("workloads: {\"vm:101\": {host: pve1, memory: 4}}", "expected an amount of memory"),
        ("workloads: {\"vm:101\": {host: pve1, desired: runing}}", "did you mean running?"),
        ("rules: [{kind: hostAfinity, workloads: []}]", "did you mean hostAffinity?"),
        ("rules: [{kind: workloadAffinity, workloads: [], sign: minus}]", "expected a sign"),
        ("policy: {onHostShutdown: migrat}", "did you mean migrate?"),
        ("timeline: [{at: 1s, do: drain witness}]", "expected a host"),
        ("timeline: [{at: 1s, do: \"add vm:104 {host: pve1\"}]", "expected add W {host: H, …}"),
        ("timeline: [{at: 1s, do: \"set vm:101 running\"}]", "expected a workload"),
        ("expect: {final: {\"vm:101\": {state: running}}}", "expected a workload or an address"),
    ])
    func whatIsWrongAboutWorkloadsIsSaid(addition: String, words: String) {
        let said = complaint(sound + addition)
        #expect(said.contains(words), "\(said)")
        #expect(said.hasPrefix("s.yaml:7: "), "\(said)")
    }

    // MARK: Writing

    private func withoutLines(_ plan: Plan) -> Plan {
        var plan = plan
        for index in plan.timeline.indices { plan.timeline[index].line = 0 }
        return plan
    }

    @Test(arguments: Profile.allCases) func aDrawnPlanReadsBack(profile: Profile) throws {
        for seed in 1...60 as ClosedRange<UInt64> {
            var drawn = Swarm.plan(seed: seed, length: 120_000_000_000, profile: profile)
            drawn.about = "Drawn from seed \(seed)."
            let read = try plan(ScenarioWriter.text(drawn))
            #expect(withoutLines(read) == withoutLines(drawn), "seed \(seed)")
        }
    }

    @Test(arguments: Tree.scenarioNames) func aWrittenScenarioReadsBack(name: String) throws {
        let written = try Tree.plan(name)
        #expect(withoutLines(try plan(ScenarioWriter.text(written))) == withoutLines(written))
    }

    /// Hostile texts go through the writer and come back.
    @Test func textsAreEscaped() throws {
        var plan = try plan(sound)
        plan.about = "It says \"no\": a \\ b # c."
        #expect(try ScenarioFiles.plan(Array(ScenarioWriter.text(plan).utf8), file: "x").about == plan.about)
    }
}
