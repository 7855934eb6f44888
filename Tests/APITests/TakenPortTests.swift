// A member whose ports are taken says so and ends: it neither runs on without them nor crashes.
// A witness, because it drives no addresses and so leaves the machine under the test alone.

import Cluster
import Consensus
import Crypto
import Foundation
import Logging
import NIOCore
import NIOPosix
import Runtime
import Testing

@testable import holdfast

@Suite(.serialized, .timeLimit(.minutes(1))) struct TakenPortTests {
    private enum Taken: CaseIterable {
        case peer, api
    }

    /// A witness whose `taken` port is `port`; the other one is any that is free.
    private func witness(taken: Taken, port: Int, in folder: String) throws -> RunningMember {
        let lab = try Lab.make()
        let key = lab.memberKeys[2]
        let settings = MemberSettings(
            cluster: lab.cluster, member: lab.members[2], name: "witness", kind: .witness, address: "127.0.0.1",
            peerPort: taken == .peer ? port : 0, apiPort: taken == .api ? port : 0)
        let identity = try MemberIdentity(
            settings: settings, key: key, certificate: lab.authority.issue(member: "witness", key: key.publicKey),
            trust: lab.authority.trust, authority: nil)
        var log = Logger(label: "test")
        log.logLevel = .critical
        return try RunningMember(identity: identity, dataDirectory: folder, host: nil, log: log)
    }

    @Test(arguments: Taken.allCases) private func aTakenPortEndsTheAgentWithWords(taken: Taken) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/holdfast-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let other = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(other.localAddress?.port)
        let words = await failure { try await witness(taken: taken, port: port, in: folder).run() }
        try await other.close()
        let what = taken == .peer ? "peers" : "the API"
        #expect(
            words
                == "cannot listen for \(what) on 127.0.0.1:\(port): Address already in use; another program has the port; "
                + "find it with: ss -ltnp 'sport = :\(port)'")
    }

    private func failure(_ work: () async throws -> Void) async -> String {
        do { try await work() } catch { return "\(error)" }
        return "nothing failed"
    }
}
