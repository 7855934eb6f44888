// The program as a person uses it, from the command line to the replicated state and back.

@testable import API
import Cluster
import Consensus
import Foundation
import Runtime
import Testing

@testable import holdfast

@Suite(.serialized, .timeLimit(.minutes(1))) struct CommandLineTests {
    /// A server, and a person with a certificate of that role.
    private func serving(
        _ lab: Lab, as role: OperatorRole = .admin, _ work: @Sendable (Person, TestServer) async throws -> Void
    ) async throws {
        try await lab.serving { server in
            let person = try Person.make(server, as: lab.credential(role: role))
            defer { person.forget() }
            try await work(person, server)
        }
    }

    private static let manifest = """
        apiVersion: holdfast/v1
        kind: VirtualIP
        metadata: {name: dns}
        spec:
          address: 192.168.1.97/24
          candidates: [{member: pve1}, {member: pve2}]
        """

    @Test func statusIsOneScreen() async throws {
        try await serving(try Lab.make()) { person, _ in
            let result = await person.run("status")
            #expect(result.status == 0)
            #expect(
                result.output == """
                    You can lose: pve1 yes · pve2 yes · witness yes
                    Cluster home, led by pve1, revision 12

                    Members
                      NAME      KIND      HOST   REACHABLE   ROLE
                      k8s-cp1   guest     pve1   yes         learner
                      pve1      host      -      yes         leader
                      pve2      host      -      yes         voter
                      witness   witness   -      yes         voter

                    Addresses
                      NAME       ADDRESS           HOLDER   SINCE          EPOCH   REASON
                      kube-api   192.168.1.99/24   pve1     12:03:04.512   1       first candidate that can

                    """)
            #expect(result.notes == "")
        }
    }

    @Test func statusAsJSONHasTheFieldsScriptsRelyOn() async throws {
        try await serving(try Lab.make()) { person, _ in
            let result = await person.run("status", "-o", "json")
            let status = try CanonicalJSON.decode(JSONValue.self, from: Array(result.output.utf8))
            let fields = try #require(status.object)
            for name in ["cluster", "leader", "revision", "quorum", "members", "addresses", "tolerance", "degraded"] {
                #expect(fields.contains(name), "\(name)")
            }
            let member = try #require(status["members"]?.array?.first?.object)
            for name in [
                "name", "id", "kind", "host", "domain", "reachable", "voter", "leader", "version", "endpoint",
            ] { #expect(member.contains(name), "\(name)") }
            let address = try #require(status["addresses"]?.array?.first?.object)
            for name in ["name", "address", "holder", "epoch", "since", "phase", "reason"] {
                #expect(address.contains(name), "\(name)")
            }
            let domain = try #require(status["tolerance"]?.array?.first?.object)
            for name in ["domain", "canBeLost", "why"] { #expect(domain.contains(name), "\(name)") }
        }
    }

    @Test func planTellsTheDifferenceAndApplyMakesIt() async throws {
        let lab = try Lab.make()
        try await serving(lab) { person, _ in
            let path = try person.write(Self.manifest, to: "dns.yaml")
            let plan = await person.run("plan", "-f", path)
            #expect(plan.status == 1)
            let verdict = "Verdict: the loss of 3 of 3 machines would be survived; the longest gap is "
            #expect(plan.output.hasPrefix("+ VirtualIP/dns\n\n1 to create.\n\(verdict)"), "\(plan)")
            #expect(plan.output.hasSuffix(".\nIndex 12\n"))
            let apply = await person.run("apply", "-f", path, "--check-index", "12")
            #expect(apply.status == 0)
            #expect(apply.output == "1 of 1 resources changed (revision 13)\n")
            let again = await person.run("plan", "-f", path)
            #expect(again.status == 0)
            #expect(again.output == "No difference: 1 as declared already.\nIndex 13\n")
            let stale = await person.run("apply", "-f", "-", "--check-index", "12", input: Self.manifest)
            #expect(stale.status == 4)
            #expect(stale.notes.contains("run plan again"))
        }
    }

    @Test func diffShowsLinesOfTheManifests() async throws {
        try await serving(try Lab.make()) { person, _ in
            let changed = """
                apiVersion: holdfast/v1
                kind: VirtualIP
                metadata: {name: kube-api}
                spec: {address: 192.168.1.98/24, candidates: [{member: pve1}, {member: pve2}]}
                """
            let diff = await person.run("diff", "-f", "-", input: changed)
            #expect(diff.status == 1)
            #expect(
                diff.output == """
                    VirtualIP/kube-api
                      apiVersion: holdfast/v1
                      kind: VirtualIP
                      metadata:
                        name: kube-api
                      spec:
                    -   address: 192.168.1.99/24
                    +   address: 192.168.1.98/24
                        candidates:
                          - member: pve1
                          - member: pve2
                    -     - member: k8s-cp1

                    """)
        }
    }

    @Test func aManifestThatIsNotValidNeverLeavesTheMachine() async throws {
        let lab = try Lab.make()
        let before = lab.agent.state
        try await serving(lab) { person, _ in
            let wrong = Self.manifest.replacingOccurrences(of: "address", with: "adress")
            let result = await person.run("apply", "-f", "-", input: wrong)
            #expect(result.status == 2)
            #expect(result.notes.contains("-:5:3"))
            let missing = await person.run("apply", "-f", "/nowhere.yaml")
            #expect(missing.status == 2)
        }
        #expect(lab.agent.state == before)
    }

    @Test func deleteAsksWhereSomebodyCanAnswer() async throws {
        let lab = try Lab.make()
        try await serving(lab) { person, _ in
            let no = await person.run("delete", "vip/kube-api", answer: "n")
            #expect(no.status == 2)
            #expect(no.notes.contains("Delete VirtualIP/kube-api? [y/N]"))
            #expect(lab.agent.state.resources.contains(.kubeAPI))
            let dry = await person.run("delete", "vip/kube-api", "--dry-run")
            #expect(dry.output.hasPrefix("- VirtualIP/kube-api"))
            #expect(await person.run("delete", "vip/kube-api", answer: "y").status == 0)
            #expect(await person.run("delete", "vip/kube-api", "--yes").status == 3)
        }
    }

    @Test func aDeletionThatWaitsEndsWhenTheHolderHasLetGo() async throws {
        let lab = try Lab.make()
        try await serving(lab) { person, _ in
            async let result = person.run("delete", "vip/kube-api", "--wait")
            for await event in lab.agent.events(after: 0) where event.type == "Deleted" { break }
            #expect(lab.agent.state.roles[.kubeAPI]?.holder == lab.members[0])
            lab.agent.apply(.vacate(role: .kubeAPI, epoch: 1, reason: "deleted", because: nil))
            #expect(await result.status == 0)
        }
    }

    @Test func waitingBeyondTheTimeEndsWithWhatIsMissing() async throws {
        let failure = await #expect(throws: CommandFailure.self) {
            try await Waiting.until(.now, "what was deleted is let go of") { _ in ["pve1 holds kube-api"] }
        }
        #expect(failure?.exitCode == 7)
        #expect(failure?.details == ["pve1 holds kube-api"])
    }

    @Test func getShowsResourcesInEveryForm() async throws {
        try await serving(try Lab.make()) { person, _ in
            let table = await person.run("get", "vip")
            #expect(
                table.output == """
                    NAME                 SYNC     HEALTH    PLACEMENT
                    VirtualIP/kube-api   Synced   Healthy   pve1

                    """)
            #expect(await person.run("get", "vip/kube-api", "-o", "name").output == "virtualip/kube-api\n")
            let yaml = await person.run("get", "vip", "-o", "yaml")
            #expect(yaml.output.hasPrefix("---\napiVersion: holdfast/v1\nkind: VirtualIP\nmetadata:\n"))
            #expect(await person.run("get", "vip/nothing").status == 3)
            #expect(await person.run("get", "members").output.contains("k8s-cp1"))
            let none = await person.run("get", "host")
            #expect(none.status == 0)
            #expect(none.notes == "nothing of that kind is declared\n")
        }
    }

    @Test func whyPrintsTheChainNewestFirst() async throws {
        let lab = try Lab.make()
        lab.agent.apply(.observeMember(lab.members[0], reachable: false, reason: "no answer for 300 ms"), actor: "pve2")
        lab.agent.apply(
            .assign(role: .kubeAPI, epoch: 1, to: lab.members[1], reason: "pve1 was lost", because: lab.members[0]),
            actor: "pve2")
        try await serving(lab) { person, _ in
            let why = await person.run("why", "virtualip/kube-api")
            let lines = why.output.split(separator: "\n").map(String.init)
            #expect(lines[0] == "VirtualIP/kube-api held by pve2 since 12:03:04.512 because pve1 was lost")
            #expect(
                lines[1]
                    == "  12:03:04.512   90 s ago   VirtualIP/kube-api   RoleAssigned   pve2 holds it now: pve1 was lost [pve2]"
            )
            #expect(lines[2].contains("−0 ms"))
            #expect(lines[2].contains("MemberLost"))
            #expect(await person.run("why", "vip/nothing").status == 3)
            #expect(await person.run("why", "kube-api").status == 2)
        }
    }

    @Test func describeGathersWhatThereIsToSay() async throws {
        try await serving(try Lab.make()) { person, _ in
            let text = await person.run("describe", "vip/kube-api").output
            for part in ["Sync: Synced   Health: Healthy", "address: 192.168.1.99/24", "Why", "Last events", "Applied"]
            {
                #expect(text.contains(part), "\(part)")
            }
        }
    }

    @Test func addressesAreMovedAndUnsafeMovesRefused() async throws {
        let lab = try Lab.make()
        try await serving(lab) { person, _ in
            let moved = await person.run("vip", "move", "kube-api", "--to", "pve2", "--reason", "new memory")
            #expect(moved.status == 0)
            #expect(moved.output.hasPrefix("pve2 holds kube-api"))
            #expect(lab.agent.state.roles[.kubeAPI]?.reason == "new memory")
            let unsafe = await person.run("vip", "move", "kube-api", "witness")
            #expect(unsafe.status == 8)
            #expect(unsafe.notes.contains("no candidate"))
            #expect(await person.run("vip", "list").output.contains("pve2"))
            #expect(await person.run("vip", "move", "kube-api").status == 2)
        }
    }

    @Test func valuesAreWrittenOnConditionAndRead() async throws {
        try await serving(try Lab.make(), as: .operator) { person, _ in
            #expect(await person.run("kv", "put", "a/b", "1", "--if-absent").status == 0)
            #expect(await person.run("kv", "put", "a/b", "2", "--if-absent").status == 4)
            #expect(await person.run("kv", "put", "a/b", "ü 2", "--if-value", "1").status == 0)
            #expect(await person.run("kv", "get", "a/b").output == "ü 2\n")
            #expect(await person.run("kv", "list").output == "KEY   VALUE\na/b   ü 2\n")
            #expect(await person.run("kv", "delete", "a/b").status == 0)
            #expect(await person.run("kv", "get", "a/b").status == 3)
        }
    }

    @Test func aTokenIsPrintedAloneAndItsSecretStaysHere() async throws {
        let lab = try Lab.make()
        try await serving(lab) { person, _ in
            let result = await person.run("cluster", "token", "create", "--kind", "witness", "--ttl", "10m")
            #expect(result.status == 0)
            let token = try JoinTokenText(result.output)
            #expect(token.cluster == lab.cluster)
            #expect(token.kind == .witness)
            #expect(token.pin == lab.authority.trust.pin)
            #expect(token.endpoints.map(\.description) == ["127.0.0.1:7001", "127.0.0.2:7001"])
            let kept = try #require(lab.agent.state.tokens[token.id])
            #expect(kept.secretHash == token.replicated(expiresMilliseconds: 0).secretHash)
        }
    }

    @Test func aViewerIsForbiddenToChange() async throws {
        try await serving(try Lab.make(), as: .viewer) { person, _ in
            let put = await person.run("kv", "put", "a", "1")
            #expect(put.status == 6)
            #expect(put.notes.contains("needs the role operator; alice has viewer"))
            #expect(await person.run("cluster", "remove", "pve2").status == 6)
        }
    }

    @Test func theClusterIsChangedByAdmins() async throws {
        let lab = try Lab.make()
        try await serving(lab) { person, _ in
            #expect(await person.run("cluster", "members", "-o", "name").output.contains("member/pve2\n"))
            let tolerance = await person.run("cluster", "tolerance")
            #expect(tolerance.output.hasPrefix("You can lose: pve1 yes"))
            #expect(await person.run("cluster", "transfer-leader", "--to", "pve2").status == 0)
            #expect(await person.run("cluster", "transfer-leader", "k8s-cp1").status == 8)
            #expect(await person.run("cluster", "remove", "k8s-cp1", "--yes").status == 0)
            #expect(lab.agent.state.members.count == 3)
            #expect(await person.run("cluster", "remove", "witness", "--yes").status == 8)
            #expect(await person.run("cluster", "remove", "witness", "--yes", "--force").status == 0)
        }
    }

    /// The asked member decides, by itself: there is no majority to ask.
    @Test func aLostMajorityIsGivenUpByAnAdminAndOnTheRecord() async throws {
        let lab = try Lab.make()
        try await serving(lab) { person, _ in
            let dead = ["cluster", "recover", "--i-verified-dead", "pve2", "witness"]
            #expect(await person.run(dead + ["--yes"]).status == 8)
            lab.agent.set(.noQuorum)
            #expect(await person.run(dead + ["pve9", "--yes"]).status == 3)
            let done = await person.run(dead + ["--yes", "--reason", "fire"])
            #expect(done.status == 0)
            #expect(done.output.contains("epoch 1 has begun without pve2, witness"))
            #expect(lab.agent.state.leftBehind.values.map(\.name).sorted() == ["pve2", "witness"])
            #expect(lab.agent.state.auditLog.last?.reason == "fire")
            // One of them will not come back.
            lab.agent.set(.serving)
            #expect(await person.run("cluster", "remove", "witness", "--yes").status == 0)
            #expect(lab.agent.state.leftBehind.values.map(\.name) == ["pve2"])
            #expect(await person.run("cluster", "remove", "witness", "--yes").status == 3)
        }
        try await serving(lab, as: .operator) { person, _ in
            #expect(await person.run("cluster", "recover", "--i-verified-dead", "pve2", "--yes").status == 6)
        }
    }

    @Test func eventsAreListedAndFollowed() async throws {
        let lab = try Lab.make()
        try await serving(lab) { person, _ in
            let all = await person.run("events", "--last", "2")
            #expect(all.output.split(separator: "\n").count == 2)
            #expect(all.output.contains("RoleAssigned  VirtualIP/kube-api"))
            let watched = await person.run("events", "-w", "--last", "1", "-o", "json", "--timeout", "300ms")
            #expect(watched.status == 0)
            #expect(watched.output.split(separator: "\n").count == 1)
            let about = await person.run("events", "vip/kube-api", "-o", "name")
            #expect(about.output.split(separator: "\n").count == 2)
        }
    }
}
