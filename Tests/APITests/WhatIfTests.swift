// What a rehearsal is given, the command that holds it, and changes that are refused because of what could not be recovered.

@testable import API
import Cluster
import Consensus
import Foundation
import Runtime
import Testing

@testable import holdfast

@Suite(.serialized, .timeLimit(.minutes(3))) struct WhatIfTests {
    private func serving(
        _ lab: Lab, as role: OperatorRole, _ work: @Sendable (Person, TestServer) async throws -> Void
    ) async throws {
        try await lab.serving { server in
            let person = try Person.make(server, as: lab.credential(role: role))
            defer { person.forget() }
            try await work(person, server)
        }
    }

    /// The lab with two hosts that run guests, and one guest on each.
    private static func withGuests() throws -> Lab {
        let lab = try Lab.make()
        for host in ["pve1", "pve2"] {
            lab.agent.apply(
                .workload(
                    .reportHost(
                        host,
                        HostFacts(boot: "b1", memoryBytes: 16 << 30, cores: 8, storageAddress: "10.0.0.\(host.last!)")))
            )
        }
        lab.agent.apply(.raiseLevel(to: 2, without: []))
        lab.agent.apply(
            .apply(
                declarations: [
                    Declaration(kind: "StoragePool", name: "rbd", spec: ["type": "cephRbd"]), guest("gitlab", 120),
                    guest("vault", 121),
                ], checkRevision: nil))
        for (name, home) in [("gitlab", "pve1"), ("vault", "pve2")] {
            let key = ResourceKey(kind: "VirtualMachine", name: name)
            for host in ["pve1", "pve2"] {
                lab.agent.apply(.workload(.sight(key, on: host, Sighting(host == home ? .running : .absent))))
            }
            lab.agent.apply(.workload(.place(key, epoch: 0, on: home, reason: "test", because: nil)))
        }
        return lab
    }

    private static func guest(_ name: String, _ vmid: Int64, memory: String = "4Gi") -> Declaration {
        Declaration(
            kind: "VirtualMachine", name: name,
            spec: [
                "proxmox": ["vmid": .int(vmid), "memory": .string(memory)],
                "disks": [["name": "scsi0", "pool": "rbd"]],
            ])
    }

    private static let large = """
        apiVersion: holdfast/v1
        kind: VirtualMachine
        metadata: {name: large}
        spec: {proxmox: {vmid: 122, memory: 10Gi}, disks: [{name: scsi0, pool: rbd}]}
        """

    @Test func aViewerIsGivenTheClusterWithoutItsSecrets() async throws {
        let lab = try Lab.make()
        lab.agent.apply(.put(key: "password", value: "geheim-4711", expected: nil))
        try await lab.serving { server in
            let answer = try await server.ask(.GET, "/v1/what-if", as: lab.credential(role: .viewer))
            #expect(answer.status == 200)
            let document = try answer.decoded(PresentDocument.self)
            let bytes = try #require(Data(base64Encoded: document.state))
            let state = try ClusterState(encoded: Array(bytes))
            #expect(state.members == lab.agent.state.members)
            #expect(state.roles == lab.agent.state.roles)
            #expect(state.resources == lab.agent.state.resources)
            #expect(state.values.isEmpty && state.tokens.isEmpty && state.events.isEmpty && state.operators.isEmpty)
            #expect(!String(decoding: bytes, as: UTF8.self).contains("geheim"))
            #expect(document.voters == lab.members[..<3].sorted() && document.learners == [lab.members[3]])
            let none = try await server.ask(.GET, "/v1/what-if", as: nil)
            #expect(none.status == 401)
        }
    }

    @Test func aLossIsForetoldAndTheExitCodeSaysWhetherItIsSurvived() async throws {
        try await serving(try Self.withGuests(), as: .viewer) { person, _ in
            let survived = await person.run("what-if", "host/pve1")
            #expect(survived.status == 0, "\(survived)")
            #expect(survived.output.hasPrefix("Suppose: member/pve1\n"))
            #expect(survived.output.contains("+0.000 s  pve1 loses its power\n"))
            #expect(survived.output.contains("  VirtualMachine/gitlab: "))
            #expect(survived.output.contains(", then on pve2 (fenced by blocklist)\n"))
            #expect(survived.output.contains("Everything comes back; "))
            #expect(!survived.output.contains("Taken for granted"))
            let wide = await person.run("what-if", "host/pve1", "-o", "wide")
            #expect(wide.output.contains("Taken for granted:\n"))
            let lost = await person.run("what-if", "host/pve1", "witness/witness")
            #expect(lost.status == 1)
            #expect(lost.output.contains("Stays down:\n  cluster: "))
            #expect(lost.output.hasSuffix("stay down.\n"))
        }
    }

    @Test func theForecastIsReadByScripts() async throws {
        try await serving(try Lab.make(), as: .viewer) { person, _ in
            let result = await person.run("what-if", "member/witness", "-o", "json")
            #expect(result.status == 0, "\(result)")
            let forecast = try CanonicalJSON.decode(JSONValue.self, from: Array(result.output.utf8))
            #expect(forecast["supposed"] == "member/witness")
            #expect(forecast["verdict"] == "Nothing is interrupted.")
            #expect(forecast["down"] == [])
            let again = await person.run("what-if", "member/witness", "-o", "json")
            #expect(again.output == result.output, "one state, loss and seed give one forecast")
        }
    }

    @Test func allSingleLossesAreATable() async throws {
        try await serving(try Lab.make(), as: .viewer) { person, _ in
            let result = await person.run("what-if", "--all-single")
            #expect(result.status == 0, "\(result)")
            let lines = result.output.split(separator: "\n")
            #expect(lines.first?.hasPrefix("LOST") == true && lines.first?.hasSuffix("VERDICT") == true)
            #expect(lines.count == 8)
            #expect(lines.last == "6 of 6 losses would be survived.")
        }
    }

    @Test(arguments: [
        (["host/pve3"], "did you mean pve1?"), ([], "Name what is lost, like host/pve1"),
        (["host/pve1", "--all-single"], "name none"), (["host/pve1", "--runs", "0"], "--runs takes 1 to 1000"),
        (["host/pve1", "--pause", "--power"], "two things"),
    ])
    func whatMakesNoSenseIsSaid(arguments: [String], words: String) async throws {
        try await serving(try Lab.make(), as: .viewer) { person, _ in
            let result = await person.run(["what-if"] + arguments)
            #expect(result.status == 2)
            #expect(result.output == "")
            #expect(result.notes.contains(words), "\(result.notes)")
        }
    }

    // MARK: Changes

    @Test func planSaysWhatCouldNotBeRecoveredAnyMore() async throws {
        try await serving(try Self.withGuests(), as: .operator) { person, server in
            let plan = await person.run("plan", "-f", "-", input: Self.large)
            #expect(plan.status == 1)
            #expect(plan.output.contains("After this change something could not be recovered that can be now:\n  if "))
            #expect(!plan.output.contains("apply refuses it"))
            #expect(plan.output.contains("Verdict: the loss of "))
            // A lenient cluster takes it all the same.
            let apply = await person.run("apply", "-f", "-", input: Self.large)
            #expect(apply.status == 0, "\(apply)")
            #expect(server.lab.agent.state.resources.contains(ResourceKey(kind: "VirtualMachine", name: "large")))
        }
    }

    @Test func aStrictClusterRefusesItUnlessItIsTold() async throws {
        let lab = try Self.withGuests()
        lab.agent.apply(
            .apply(
                declarations: [Declaration(kind: "Cluster", name: "home", spec: ["admission": "refuse"])],
                checkRevision: nil))
        try await serving(lab, as: .operator) { person, _ in
            let plan = await person.run("plan", "-f", "-", input: Self.large)
            #expect(plan.output.contains("apply refuses it, unless it is told --force."))
            let refused = await person.run("apply", "-f", "-", input: Self.large)
            #expect(refused.status == 8, "\(refused)")
            #expect(refused.notes.contains("would stay down"))
            let deleted = await person.run("delete", "StoragePool/rbd", "-y")
            #expect(deleted.status == 8)
            #expect(lab.agent.state.resources.contains(ResourceKey(kind: "StoragePool", name: "rbd")))
            let forced = await person.run("apply", "-f", "-", "--force", input: Self.large)
            #expect(forced.status == 0, "\(forced)")
        }
    }

    @Test func aScenarioThatWouldBreakIsRefusedAndOneThatWarnsIsSaid() async throws {
        @Sendable func scenario(_ enforce: String, _ expect: String) -> String {
            """
            apiVersion: holdfast/v1
            kind: Scenario
            metadata: {name: pve1-dies}
            spec: {lost: [host/pve1], expect: \(expect), enforce: \(enforce)}
            """
        }
        let lab = try Self.withGuests()
        try await serving(lab, as: .operator) { person, _ in
            // Only a rehearsal knows how long things take.
            let hasty = await person.run("apply", "-f", "-", input: scenario("refuse", "{within: 1ms}"))
            #expect(hasty.status == 8, "\(hasty)")
            #expect(hasty.notes.contains("VirtualMachine/gitlab would be gone for "))
            let patient = await person.run("apply", "-f", "-", input: scenario("refuse", "{within: 2m}"))
            #expect(patient.status == 0, "\(patient)")
            let refused = await person.run("apply", "-f", "-", input: Self.large)
            #expect(refused.status == 8)
            #expect(refused.notes.contains("Scenario/pve1-dies"))
            let warning = await person.run("apply", "-f", "-", input: scenario("warn", "{within: 1ms}"))
            #expect(warning.status == 0, "\(warning)")
            #expect(warning.notes.contains("warning: Scenario/pve1-dies: "))
        }
    }

    /// Whoever speaks to the API without the command is held to what the cluster can tell by itself.
    @Test func theClusterItselfHoldsAScenario() async throws {
        let lab = try Self.withGuests()
        let scenario = Declaration(
            kind: "Scenario", name: "pve1-dies", spec: ["lost": ["host/pve1"], "enforce": "refuse"])
        lab.agent.apply(.apply(declarations: [scenario], checkRevision: nil))
        try await lab.serving { server in
            let large = ApplyRequest(declarations: [Self.guest("large", 122, memory: "10Gi").document])
            let refused = try await server.ask(
                .POST, "/v1/apply", as: lab.credential(role: .operator), json: large)
            #expect(refused.failure?.code == .unsafe)
            #expect(refused.failure?.problems.contains { $0.hasPrefix("Scenario/pve1-dies would not hold") } == true)
            let forced = try await server.ask(
                .POST, "/v1/apply", as: lab.credential(role: .operator),
                json: ApplyRequest(declarations: large.declarations, force: true))
            #expect(forced.status == 200)
        }
    }
}
