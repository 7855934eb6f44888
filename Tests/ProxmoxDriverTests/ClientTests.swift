// The client against a server that answers as told: what comes back as an error, what as a success, and what is never
// done twice.

import Cluster
import Consensus
import Glibc
import Testing

@testable import ProxmoxDriver

@Suite(.timeLimit(.minutes(2))) struct ClientTests {
    private func ask(_ client: ProxmoxClient) async throws(ProxmoxError) -> JSONValue {
        try await client.get("/version", attempted: "ask")
    }

    private func failure(_ body: () async throws(ProxmoxError) -> JSONValue) async -> ProxmoxError? {
        do throws(ProxmoxError) {
            _ = try await body()
            return nil
        } catch { return error }
    }

    @Test func theTokenIsSentAndTheEnvelopeTakenOff() async throws {
        let server = try await ScriptedServer { _ in .data("{\"version\":\"9.1.6\"}") }
        #expect(try await ask(server.client())["version"] == "9.1.6")
        #expect(server.seen.map(\.authorization) == ["PVEAPIToken=ops@pve!agent=\(ScriptedServer.secret)"])
        #expect(server.seen.map(\.line) == ["GET /version"])
    }

    @Test func questionsShareAConnectionAndChangesDoNot() async throws {
        let server = try await ScriptedServer { _ in .data("null") }
        let client = try server.client()
        for _ in 0..<3 { _ = try await ask(client) }
        for _ in 0..<2 { _ = try await client.change(.post, "/x", [("a", "b c&d")], attempted: "change") }
        _ = try await ask(client)
        #expect(server.seen.map(\.connection) == [1, 1, 1, 2, 3, 1])
        #expect(server.seen[3].body == "a=b%20c%26d")
    }

    @Test func aQuestionOnAConnectionThatWasClosedIsAskedAgain() async throws {
        // Every second request of a connection finds it closed.
        let server = try await ScriptedServer { $0.connection == 1 && $0.path == "/second" ? .close : .data("1") }
        let client = try server.client()
        _ = try await ask(client)
        #expect(try await client.get("/second", attempted: "ask") == 1)
        #expect(server.seen.map(\.connection) == [1, 1, 2])
    }

    @Test func aChangeIsNeverSentTwice() async throws {
        let server = try await ScriptedServer { _ in .close }
        let client = try server.client()
        let error = await failure { () async throws(ProxmoxError) in
            try await client.change(.post, "/x", attempted: "start vm 120 on pve1")
        }
        #expect(error?.cause == .unknownOutcome)
        #expect(error?.mayHaveHadEffect == true)
        #expect(server.seen.count == 1)
    }

    @Test func whoHangsIsGivenUp() async throws {
        let server = try await ScriptedServer { _ in .silence }
        let client = try server.client {
            $0.readLimit = .seconds(2)
            $0.writeLimit = .seconds(2)
        }
        let question = await failure { () async throws(ProxmoxError) in try await ask(client) }
        #expect(question?.cause == .timedOut)
        #expect(question?.mayHaveHadEffect == false)
        let change = await failure { () async throws(ProxmoxError) in
            try await client.change(.post, "/x", attempted: "change")
        }
        #expect(change?.cause == .unknownOutcome)
    }

    @Test func aWaitingQuestionEndsWithItsTask() async throws {
        let server = try await ScriptedServer { _ in .silence }
        let client = try server.client { $0.readLimit = .seconds(3_600) }
        let asking = Task { await failure { () async throws(ProxmoxError) in try await ask(client) } }
        while server.seen.isEmpty { await Task.yield() }
        asking.cancel()
        #expect(await asking.value != nil)
    }

    @Test func nobodyElseIsHandedTheToken() async throws {
        let server = try await ScriptedServer { _ in .data("1") }
        let other = String(repeating: "AB:", count: 31) + "AB"
        let client = try server.client { $0.trust = .fingerprint(CertificateFingerprint(other)!) }
        let error = await failure { () async throws(ProxmoxError) in try await ask(client) }
        #expect(error?.cause == .untrusted)
        #expect(error?.reason.contains(server.fingerprint.description) == true)
        #expect(server.seen.isEmpty)
    }

    @Test func anAuthorityVouchesForItsCertificates() async throws {
        let server = try await ScriptedServer { _ in .data("1") }
        let stranger = try await ScriptedServer { _ in .data("1") }
        let folder = TestFolder()
        let good = try server.client { $0.trust = .authority(path: folder.write("ca.pem", server.certificatePEM)) }
        #expect(try await ask(good) == 1)
        let bad = try server.client { $0.trust = .authority(path: folder.write("other.pem", stranger.certificatePEM)) }
        let error = await failure { () async throws(ProxmoxError) in try await ask(bad) }
        #expect(error?.cause == .untrusted)
        #expect(server.seen.count == 1)
    }

    @Test func whereNobodyListensNothingWasSent() async throws {
        let server = try await ScriptedServer { _ in .data("1") }
        let client = try server.client { $0.port = 1 }
        let error = await failure { () async throws(ProxmoxError) in
            try await client.change(.post, "/x", attempted: "change")
        }
        #expect(error?.cause == .unreachable)
        #expect(error?.mayHaveHadEffect == false)
    }

    private static let sentences: [(Int, String, ProxmoxError.Cause)] = [
        (401, "no such token 'nope' for user 'ops@pve'", ProxmoxError.Cause.unauthorized),
        (401, "Authentication failed!", .unauthorized),
        (
            403, "Permission check failed (/vms/301, VM.PowerMgmt)",
            .missingPrivilege(path: "/vms/301", privilege: "VM.PowerMgmt")
        ),
        (
            403, "Permission check failed (/, Sys.Audit|Sys.Modify)",
            .missingPrivilege(path: "/", privilege: "Sys.Audit|Sys.Modify")
        ),
        (403, "Permission check failed", .forbidden),
        (500, "only root can set 'lock' config", .forbidden),
        (500, "cluster not ready - no quorum?", .noQuorum),
        (
            500, "unable to open file '/etc/pve/nodes/pve1/qemu-server/100.conf.tmp.436' - Permission denied", .noQuorum
        ),
        (500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", .locked(by: "file")),
        (500, "VM is locked (backup)", .locked(by: "backup")),
        (500, "checksum mismatch (file change by other user?)", .changedMeanwhile),
        (500, "unable to create VM 100 - VM 100 already exists on node 'pve1'", .taken),
        (500, "unable to create VM 110: config file already exists", .taken),
        (500, "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist", .absent),
        (500, "storage 'nosuch' does not exist", .storage),
        (500, "can't migrate running VM without --online", .refused),
        (501, "Method 'GET /nope' not implemented", .unsupported),
        (595, "Connection refused", .peerUnreachable),
        (596, "Connection timed out", .peerUnreachable),
    ]

    @Test(arguments: sentences)
    func theReasonPhraseTellsTheCause(status: Int, reason: String, cause: ProxmoxError.Cause) async throws {
        // 401 and 595 come with an empty body, the others repeat the phrase.
        let body = status == 401 || status > 590 ? "" : "{\"data\":null,\"message\":\"\(reason)\\n\"}"
        let server = try await ScriptedServer { _ in .answer(status, reason, body) }
        let client = try server.client()
        let error = await failure { () async throws(ProxmoxError) in try await ask(client) }
        #expect(error?.cause == cause)
        #expect(error?.status == status)
        #expect(error?.reason == reason)
        #expect(error.map { "\($0)".contains(reason) && !"\($0)".contains(ScriptedServer.secret) } == true)
    }

    @Test func aChangePassedOnToAHostThatHangsHasAnUnknownOutcome() async throws {
        let server = try await ScriptedServer { _ in .answer(596, "Connection timed out", "") }
        let client = try server.client()
        let error = await failure { () async throws(ProxmoxError) in
            try await client.change(.post, "/x", attempted: "change")
        }
        #expect(error?.cause == .unknownOutcome)
    }

    @Test func parametersThatWereRefusedAreNamed() async throws {
        let server = try await ScriptedServer { _ in
            .answer(
                400, "Parameter verification failed.",
                #"{"errors":{"vmid":"invalid format - value does not look like a valid VM ID\n"},"data":null}"#)
        }
        let client = try server.client()
        let error = await failure { () async throws(ProxmoxError) in
            try await client.change(.post, "/x", attempted: "create")
        }
        #expect(error?.cause == .invalid)
        #expect(error?.parameters["vmid"] == "invalid format - value does not look like a valid VM ID")
        #expect(error?.description.contains("vmid: invalid format") == true)
    }

    @Test(arguments: ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"da", "SSH-2.0-OpenSSH_9.2\r\n", "<html>"])
    func halfAnAnswerToAChangeIsAnUnknownOutcome(bytes: String) async throws {
        let server = try await ScriptedServer { _ in .bytes(bytes) }
        let client = try server.client()
        let error = await failure { () async throws(ProxmoxError) in
            try await client.change(.post, "/x", attempted: "change")
        }
        #expect(error?.cause == .unknownOutcome)
    }

    @Test func whatIsNoJSONIsSaidSo() async throws {
        let server = try await ScriptedServer { _ in .answer(200, "OK", "<html></html>") }
        let client = try server.client()
        let error = await failure { () async throws(ProxmoxError) in try await ask(client) }
        #expect(error?.cause == .unreadable)
    }

    @Test func aLongAnswerIsNotReadToItsEnd() async throws {
        let long = String(repeating: "x", count: 10_000)
        let server = try await ScriptedServer { _ in .data("\"\(long)\"") }
        let client = try server.client { $0.mostAnswerBytes = 1_000 }
        let error = await failure { () async throws(ProxmoxError) in try await ask(client) }
        #expect(error?.reason.contains("longer than 1000 bytes") == true)
    }
}

@Suite struct TokenTests {
    @Test func aPrivateFileHoldsTheToken() throws {
        let folder = TestFolder()
        let path = folder.write("token", "holdfast@pve!agent=1234-5678\n")
        let token = try ProxmoxToken(file: path)
        #expect(token.id == "holdfast@pve!agent")
        #expect(token.authorization == "PVEAPIToken=holdfast@pve!agent=1234-5678")
        var dumped = ""
        dump(token, to: &dumped)
        for text in [dumped, "\(token)", String(reflecting: token)] { #expect(!text.contains("1234")) }
    }

    @Test func aFileThatOthersMayReadIsRefused() {
        let folder = TestFolder()
        let path = folder.write("token", "holdfast@pve!agent=1234-5678\n")
        chmod(path, 0o640)
        let error = #expect(throws: ProxmoxTokenError.self) { try ProxmoxToken(file: path) }
        #expect(error?.description.contains("chmod 600") == true)
        #expect(error?.description.contains("1234") == false)
    }

    @Test(arguments: ["", "nonsense", "a@b=c", "a!b=c", "a@b!c=", "a@b!c=d e\u{7}"]) func otherContentIsRefused(
        text: String
    ) {
        let folder = TestFolder()
        let path = folder.write("token", text)
        #expect(throws: ProxmoxTokenError.self) { try ProxmoxToken(file: path) }
    }
}

/// A folder of its own, removed at the end.
final class TestFolder: Sendable {
    let path = "/tmp/holdfast-proxmox-\(getpid())-\(UInt64.random(in: 0 ... .max))"

    init() { mkdir(path, 0o700) }

    deinit { Self.remove(path) }

    func write(_ name: String, _ text: String, mode: mode_t = 0o600) -> String {
        var folder = path
        for part in name.split(separator: "/").dropLast() {
            folder += "/" + part
            mkdir(folder, 0o700)
        }
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, mode)
        let bytes = Array(text.utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
        fchmod(descriptor, mode)
        close(descriptor)
        return file
    }

    private static func remove(_ path: String) {
        if let stream = opendir(path) {
            while let entry = readdir(stream) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != "." && name != ".." { remove("\(path)/\(name)") }
            }
            closedir(stream)
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}
