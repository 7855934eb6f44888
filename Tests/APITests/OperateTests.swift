// What operators do besides declaring: rehearsals, releases, upgrades, secrets, backups.

@testable import API
import Cluster
import Consensus
import Foundation
import Synchronization
import Testing

@testable import Runtime

@Suite(.serialized, .timeLimit(.minutes(2))) struct OperateTests {
    // MARK: Rehearsals

    @Test func aRehearsalSaysWhatAChangeWouldComeToAndChangesNothing() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let admin = try lab.credential(role: .admin)
            let person = try Person.make(server, as: admin)
            defer { person.forget() }
            let before = lab.agent.state
            for line in [
                ["kv", "put", "a", "b"], ["cluster", "token", "create", "--kind", "host"],
                ["cluster", "remove", "k8s-cp1"], ["cluster", "transfer-leader", "pve2"],
                ["vip", "move", "kube-api", "pve2"], ["vip", "release", "kube-api"], ["context", "revoke", "vera"],
            ] {
                let result = await person.run(line + ["--dry-run"])
                #expect(result.status == 0, "\(line): \(result.notes)")
                #expect((result.output + result.notes).contains("dry run, nothing was changed"), "\(line)")
            }
            #expect(lab.agent.state == before)
            #expect(lab.agent.change { $0.leaderTransfers.isEmpty })
        }
    }

    @Test func aRehearsalIsRefusedAsTheChangeWouldBe() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let rehearsal = [("Holdfast-Dry-Run", "true")]
            let viewer = try lab.credential(role: .viewer)
            let admin = try lab.credential(role: .admin)
            func put(_ credential: Credential, _ more: [(String, String)]) async throws -> TestServer.Answer {
                try await server.ask(
                    .PUT, "/v1/kv/a", as: credential, headers: rehearsal + more, json: ValueRequest(value: "b"))
            }
            #expect(try await put(viewer, []).status == 403)
            #expect(try await put(admin, [("If-Match", "\"\(Data("x".utf8).base64EncodedString())\"")]).status == 409)
            let wrong = try await server.ask(
                .PUT, "/v1/kv/a", as: admin, headers: [("Holdfast-Dry-Run", "perhaps")], json: ValueRequest(value: "b"))
            #expect(wrong.status == 400)
            #expect(lab.agent.state.values.isEmpty)
        }
    }

    // MARK: Releasing

    @Test func aReleasedAddressGoesToTheFirstOtherCandidateThatCan() async throws {
        let lab = try Lab.make()
        lab.agent.apply(.reportFitness(role: .kubeAPI, member: lab.members[1], unfit: "its check fails"))
        try await lab.serving { server in
            let answer = try await server.ask(
                .POST, "/v1/vip/release", as: lab.credential(role: .operator), json: ReleaseRequest(name: "kube-api"))
            #expect(try answer.decoded(OutcomeDocument.self).message == "k8s-cp1 holds kube-api")
            lab.agent.apply(.reportFitness(role: .kubeAPI, member: lab.members[0], unfit: "ill"))
            let none = try await server.ask(
                .POST, "/v1/vip/release", as: lab.credential(role: .operator), json: ReleaseRequest(name: "kube-api"))
            #expect(none.failure?.code == .unsafe && none.failure?.problems.count == 2)
        }
    }

    // MARK: Upgrades

    @Test func theOrderOfAnUpgradeIsServedWithWhatStandsInTheWay() async throws {
        let lab = try Lab.make()
        lab.agent.apply(.observeMember(lab.members[2], reachable: false, reason: "silent"))
        try await lab.serving { server in
            let answer = try await server.ask(.GET, "/v1/upgrade", as: lab.credential(role: .viewer))
            let plan = try answer.decoded(UpgradeDocument.self)
            #expect(plan.level == FeatureLevel.newest)
            #expect(plan.steps.map(\.name) == ["witness", "k8s-cp1", "pve2", "pve1"])
            #expect(plan.steps.last?.leader == true)
            #expect(plan.steps[2].obstacles == ["1 of 3 voters would be left, 2 are needed (away: witness)"])
            #expect(plan.steps[1].obstacles == [] && !plan.steps[0].reachable)
        }
    }

    @Test func nobodyIsRestartedByMistake() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            func restart(_ member: String, _ role: OperatorRole) async throws -> APIFailure? {
                try await server.ask(
                    .POST, "/v1/restart", as: lab.credential(role: role), json: RestartRequest(member: member)
                ).failure
            }
            let forbidden = try await restart("pve1", .operator)
            #expect(forbidden?.code == .forbidden)
            let another = try await restart("pve2", .admin)
            #expect(another?.message == "this is pve1, not pve2")
            // A server of a test has nobody who would start it again.
            let alone = try await restart("pve1", .admin)
            #expect(alone?.message == "nothing would start the agent of pve1 again")
        }
    }

    @Test func aHostIsRestartedOnlyWhenTheRestCanDoWithoutIt() async throws {
        let lab = try Lab.make()
        let mayRestart = Mutex(true)
        var upkeep = APIServer.Upkeep.none
        upkeep.restartTrouble = { mayRestart.withLock { $0 } ? nil : "its token may not" }
        @Sendable func restart() -> HostRestart? { lab.agent.state.hosts["pve1"]?.restart }
        let facts = HostFacts(boot: "b1", memoryBytes: 1 << 34, cores: 8, isQuorate: true)
        for host in ["pve1", "pve2"] { lab.agent.apply(.workload(.reportHost(host, facts))) }
        try await lab.serving(upkeep: upkeep) { server in
            func ask(_ request: RebootRequest, _ role: OperatorRole = .admin) async throws -> APIFailure? {
                try await server.ask(.POST, "/v1/hosts/reboot", as: lab.credential(role: role), json: request).failure
            }
            #expect(try await ask(RebootRequest(name: "pve1"), .operator)?.code == .forbidden)
            #expect(try await ask(RebootRequest(name: "pve2"))?.message == "this is pve1, not pve2")
            #expect(try await ask(RebootRequest(name: "pve9"))?.code == .notFound)
            #expect(try await ask(RebootRequest(name: "pve1")) == nil)
            #expect(restart()?.isForced == false)
            #expect(try await ask(RebootRequest(name: "pve1", cancel: true)) == nil)
            #expect(restart() == nil)
            // To take it back, any member will do.
            lab.agent.apply(.workload(.orderRestart("pve2", isForced: true)))
            #expect(try await ask(RebootRequest(name: "pve1"))?.code == .unsafe)
            #expect(try await ask(RebootRequest(name: "pve2", cancel: true)) == nil)
            lab.agent.apply(.observeMember(lab.members[2], reachable: false, reason: "silent"))
            let unsafe = try await ask(RebootRequest(name: "pve1"))
            #expect(unsafe?.code == .unsafe && unsafe?.message.contains("1 of 3 voters would be left") == true)
            mayRestart.withLock { $0 = false }
            let refused = try await ask(RebootRequest(name: "pve1", force: true))
            #expect(refused?.message == "pve1 could not be restarted: its token may not")
            #expect(restart() == nil)
            mayRestart.withLock { $0 = true }
            #expect(try await ask(RebootRequest(name: "pve1", force: true)) == nil)
            #expect(restart()?.isForced == true)
        }
        try await lab.serving { server in
            let nobody = try await server.ask(
                .POST, "/v1/hosts/reboot", as: lab.credential(role: .admin), json: RebootRequest(name: "pve1"))
            #expect(nobody.failure?.message == "the agent of pve1 drives no Proxmox that could restart it")
        }
    }

    @Test func theLevelIsRaisedOverThoseThatAreNamed() async throws {
        let lab = try Lab.make()
        for id in lab.members.dropLast() {
            guard var member = lab.agent.state.members[id] else { continue }
            member.level = FeatureLevel.newest + 1
            lab.agent.apply(.announce(member: member))
        }
        try await lab.serving { server in
            let admin = try lab.credential(role: .admin)
            let early = try await server.ask(.POST, "/v1/level", as: admin, json: RaiseLevelRequest(without: []))
            #expect(try early.decoded(OutcomeDocument.self).changed == false)
            let many = try await server.ask(
                .POST, "/v1/level", as: admin, json: RaiseLevelRequest(without: ["k8s-cp1"]))
            #expect(try many.decoded(OutcomeDocument.self).changed)
            let status = try await server.ask(.GET, "/v1/status", as: admin).decoded(StatusDocument.self)
            #expect(status.level == FeatureLevel.newest + 1)
            let words = "guest k8s-cp1 has version 0.1.0, which does not understand"
            #expect(status.degraded.contains { $0.hasPrefix(words) })
        }
    }

    // MARK: Backups and recovery

    @Test func aBackupNeedsAnAdminIsOnRecordAndOpens() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let viewer = try Person.make(server, as: lab.credential("vera", role: .operator))
            let admin = try Person.make(server, as: lab.credential(role: .admin))
            defer { viewer.forget() }
            defer { admin.forget() }
            let (key, file) = (admin.folder + "/key", admin.folder + "/b")
            #expect(await admin.run("backup", "key", key).status == 0)
            #expect(await viewer.run("backup", "create", file, "--key-file", key).status == 6)
            let made = await admin.run("backup", "create", file, "--key-file", key)
            #expect(made.status == 0, "\(made.notes)")
            #expect(made.output.contains("1 resources"))
            #expect(lab.agent.state.auditLog.contains { $0.what == "take a backup" })
            #expect(await admin.run("backup", "verify", file, "--key-file", key).status == 0)
            #expect(await admin.run("backup", "create", file, "--key-file", key).notes.contains("is there already"))
            #expect(await admin.run("backup", "verify", file).notes.contains("a backup has one key"))
            lab.agent.apply(.delete(keys: [.kubeAPI], checkRevision: nil))
            #expect(await admin.run("backup", "restore", file, "--key-file", key, "--dry-run").status == 1)
            let restored = await admin.run("backup", "restore", file, "--key-file", key, "--yes")
            #expect(restored.status == 0, "\(restored.notes)")
            #expect(lab.agent.state.resources[.kubeAPI] != nil)
        }
    }

    @Test func aHostsRootMakesAContextWhenAllAreLost() async throws {
        let person = try Person.make(nil)
        defer { person.forget() }
        let data = person.folder + "/data"
        let founded = await person.run(
            "cluster", "init", "--name", "home", "--member", "pve1", "--address", "127.0.0.1", "--data-dir", data)
        #expect(founded.status == 0, "\(founded.notes)")
        let lost = person.folder + "/other.yaml"
        let recovered = await person.run("context", "recover", "--data-dir", data, "--file", lost)
        #expect(recovered.status == 0, "\(recovered.notes)")
        // No agent runs here that could have it admitted.
        #expect(recovered.notes.contains("is admitted as soon as the agent of this host runs"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: data + "/recovered").count == 1)
        #expect(try String(contentsOfFile: lost, encoding: .utf8).contains("recovered-"))
        let none = await person.run("context", "recover", "--data-dir", person.folder + "/nothing")
        #expect(none.status == 2 && none.notes.contains("no context can be made here"))
    }

    @Test func aTokenMayBeUsedForAWeekAndNoLonger() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let person = try Person.make(server, as: lab.credential(role: .admin))
            defer { person.forget() }
            #expect(await person.run("cluster", "token", "create", "--kind", "host", "--ttl", "168h").status == 0)
            #expect(await person.run("cluster", "token", "create", "--kind", "host", "--ttl", "59s").status == 2)
        }
    }
}
