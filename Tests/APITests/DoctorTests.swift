// Looking for what is wrong, watching, and what is given to somebody who helps.

@testable import API
import Cluster
import Consensus
import Decisions
import Foundation
import Subprocess
import Testing

@testable import holdfast

extension SelfReadings {
    /// A member that is well.
    static let example: SelfReadings = {
        var readings = SelfReadings(
            member: "pve1", version: "0.1.0", wallMilliseconds: InMemoryAgent.wallClock + 90_000)
        (readings.diskFreeBytes, readings.diskTotalBytes) = (8 << 30, 16 << 30)
        readings.clockIsSynchronised = true
        readings.certificateExpires = InMemoryAgent.wallClock + 80 * 86_400_000
        (readings.flushes, readings.flushMeanMicroseconds, readings.flushBoundMicroseconds) = (10, 400, 1_000)
        readings.roundTrips = [.init(member: "pve2", microseconds: 180)]
        (readings.residentBytes, readings.cpuMilliseconds, readings.uptimeMilliseconds) = (30 << 20, 600, 120_000)
        return readings
    }()
}

@Suite(.serialized, .timeLimit(.minutes(1))) struct DoctorTests {
    /// A lab in which every member's API is the one server.
    private func serving(_ work: @Sendable (Person, TestServer) async throws -> Void) async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            for id in lab.members {
                var record = try #require(lab.agent.state.members[id])
                record.apiEndpoint = "127.0.0.1:\(server.port)"
                lab.agent.apply(.announce(member: record))
            }
            let person = try Person.make(server, as: lab.credential("root", role: .admin))
            defer { person.forget() }
            try await work(person, server)
        }
    }

    @Test func aClusterThatIsWellIsFoundWell() async throws {
        try await serving { person, _ in
            let result = await person.run("doctor")
            #expect(result.status == 0, "\(result.output)")
            #expect(result.output.contains("nothing is wrong"))
            let wide = await person.run("doctor", "-o", "wide")
            #expect(wide.output.contains("fine    pve1: a flush of the log takes 400 µs"))
        }
    }

    @Test func aMemberThatRefusesTheCertificateIsSuspectedOfAWrongClock() {
        var word = MemberWord(member: "pve2")
        word.problem = "no member accepts it; 127.0.0.1:7443: it says that this context's certificate has expired"
        #expect(DoctorCommand.judge(word).first?.sentence.contains("does not answer") == true)
        word.isRefusal = true
        let finding = DoctorCommand.judge(word).first
        #expect(finding?.sentence.contains("whose clock is wrong") == true)
        #expect(finding?.remedy.contains("date on pve2") == true)
        #expect(finding?.sentence.contains("has expired") == true)
    }

    @Test func whatIsWrongIsNamedWithTheWayOut() async throws {
        try await serving { person, server in
            server.lab.agent.apply(.observeMember(server.lab.members[1], reachable: false, reason: "silent"))
            let result = await person.run("doctor")
            #expect(result.status == 1)
            #expect(result.output.contains("WRONG   pve2: it is not heard of"))
            #expect(result.output.contains("cannot be lost"))
            #expect(result.output.contains("try: systemctl status holdfast on pve2"))
        }
    }

    @Test func aMemberThatDoesNotAnswerIsAFinding() async throws {
        try await serving { person, server in
            var record = try #require(server.lab.agent.state.members[server.lab.members[2]])
            // A port that nobody listens at.
            record.apiEndpoint = "127.0.0.1:1"
            server.lab.agent.apply(.announce(member: record))
            let result = await person.run("doctor", "--timeout", "10s")
            #expect(result.status == 1)
            #expect(result.output.contains("WRONG   witness: its API does not answer"))
        }
    }

    @Test func withoutAQuorumTheDoctorStillLooks() async throws {
        try await serving { person, server in
            server.lab.agent.set(.noQuorum)
            let result = await person.run("doctor", "--timeout", "10s")
            #expect(result.status == 1)
            #expect(result.output.contains("there is no quorum"))
        }
    }

    @Test func topShowsWhatMembersUse() async throws {
        try await serving { person, _ in
            let result = await person.run("top")
            #expect(result.status == 0)
            #expect(result.output.contains("0.5 %   30 MiB   2 min   400 µs       1000 µs"))
            #expect(result.output.contains("≤ 180 µs"))
        }
    }

    // MARK: Support

    @Test func aSupportFileHoldsNoSecret() async throws {
        try await serving { person, server in
            let lab = server.lab
            lab.agent.apply(.put(key: "stored-key", value: "stored-value", expected: nil))
            lab.agent.apply(
                .createToken(
                    JoinToken(id: "t", secretHash: "hash-of-a-secret", kind: .host, expiresMilliseconds: .max)))
            lab.agent.apply(
                .apply(
                    declarations: [
                        Declaration(
                            kind: "Host", name: "pve1",
                            spec: [
                                "apiToken": "spec-secret", "nested": [["pass-word": "p", "password": "spec-secret-2"]],
                            ])
                    ], checkRevision: nil))
            lab.agent.apply(.act(what: "x"), actor: "hf1.joining-token")
            let file = person.folder + "/support.tar"
            let result = await person.run("support", "--file", file)
            #expect(result.status == 0, "\(result.notes)")
            let bytes = try #require(FileManager.default.contents(atPath: file))
            let text = String(decoding: bytes, as: UTF8.self)
            let credential = try ContextFile.load(path: person.configuration) { _ in }.contexts[0]
            let secrets = [
                "stored-value", "stored-key", "hash-of-a-secret", "spec-secret", "spec-secret-2", "PRIVATE KEY",
                "BEGIN CERTIFICATE", String(credential.key.split(separator: "\n")[1]),
            ]
            for secret in secrets { #expect(!text.contains(secret), "\(secret) is in the file") }
            #expect(text.contains("kube-api") && text.contains("192.168.1.99/24"))
            #expect(text.contains(Redaction.mark))
            #expect(await person.run("support", "--file", file).status == 2, "it is not written over")

            let listed = try await run(
                .name("tar"), arguments: ["-tf", file], output: .string(limit: 1 << 16), error: .string(limit: 1 << 16))
            #expect(listed.terminationStatus.isSuccess, "\(listed.standardError)")
            for part in ["status.json", "audit.json", "measurements.json", "findings.json", "version.txt"] {
                #expect(listed.standardOutput.contains(part))
            }
        }
    }

    @Test func secretsInTextsAreTakenOutToo() {
        #expect(Redaction.redacted("join with hf1.abc now") == "join with (taken out) now")
        #expect(Redaction.redacted("-----BEGIN PRIVATE KEY-----") == Redaction.mark)
        #expect(Redaction.redacted(["key": ["kind": "VirtualIP"]]) == ["key": ["kind": "VirtualIP"]])
        #expect(Redaction.redacted(["key": "0123"]) == ["key": .string(Redaction.mark)])
        #expect(
            Redaction.redacted([1, true, nil, ["a_p-i_Key": "x"]]) == [
                1, true, nil, ["a_p-i_Key": .string(Redaction.mark)],
            ])
    }
}
