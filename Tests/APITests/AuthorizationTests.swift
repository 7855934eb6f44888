// Who may do what, and who gets in at all.

@testable import API
import Cluster
import Consensus
import Crypto
import NIOHTTP1
import Testing
import X509

@testable import Runtime

@Suite(.serialized, .timeLimit(.minutes(1))) struct AuthorizationTests {
    enum Asker: String, CaseIterable, Sendable {
        case nobody, viewer, `operator`, admin, member

        func credential(_ lab: Lab) throws -> Credential? {
            switch self {
            case .nobody: nil
            case .viewer: try lab.credential(role: .viewer)
            case .operator: try lab.credential(role: .operator)
            case .admin: try lab.credential(role: .admin)
            case .member: try lab.credential(member: 1)
            }
        }
    }

    private static let reads: [(HTTPMethod, String)] = [
        (.GET, "/v1/status"), (.GET, "/v1/members"), (.GET, "/v1/tolerance"), (.GET, "/v1/resources"),
        (.GET, "/v1/resources/vip"), (.GET, "/v1/resources/vip/kube-api"), (.GET, "/v1/events"),
        (.GET, "/v1/why/vip/kube-api"), (.GET, "/v1/kv"), (.GET, "/v1/kv/a"), (.POST, "/v1/plan"),
    ]
    private static let changes: [(HTTPMethod, String)] = [
        (.POST, "/v1/apply"), (.POST, "/v1/delete"), (.PUT, "/v1/kv/a"), (.DELETE, "/v1/kv/a"), (.POST, "/v1/vip/move"),
    ]
    private static let clusterChanges: [(HTTPMethod, String)] = [
        (.POST, "/v1/tokens"), (.POST, "/v1/members/remove"), (.POST, "/v1/transfer-leader"),
    ]

    /// Requests without a body: whoever gets in is told so (400) or answered; the others get 401 or 403.
    @Test(arguments: Asker.allCases) func eachRoleGetsInWhereItMay(_ asker: Asker) async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let credential = try asker.credential(lab)
            func statuses(_ routes: [(HTTPMethod, String)]) async throws -> Set<Int> {
                var seen: Set<Int> = []
                for (method, path) in routes {
                    seen.insert(try await server.ask(method, path, as: credential).status)
                }
                return seen
            }
            let inside: Set<Int> = [200, 400, 404]
            let reads = try await statuses(Self.reads)
            let changes = try await statuses(Self.changes)
            let clusterChanges = try await statuses(Self.clusterChanges)
            switch asker {
            case .nobody: #expect(reads.union(changes).union(clusterChanges) == [401])
            case .viewer, .member:
                #expect(reads.isSubset(of: inside))
                #expect(changes.union(clusterChanges) == [403])
            case .operator:
                #expect(reads.union(changes).isSubset(of: inside))
                #expect(clusterChanges == [403])
            case .admin: #expect(reads.union(changes).union(clusterChanges).isSubset(of: inside))
            }
        }
    }

    @Test func aRemovedMemberIsRefusedAtOnce() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let member = try lab.credential(member: 1)
            #expect(try await server.ask(.GET, "/v1/status", as: member).status == 200)
            lab.agent.apply(.removeMember(lab.members[1]))
            let answer = try await server.ask(.GET, "/v1/status", as: member)
            #expect(answer.status == 403)
            #expect(answer.failure?.message.contains("does not belong") == true)
        }
    }

    @Test func aCertificateOfAnotherAuthorityEndsTheHandshake() async throws {
        let lab = try Lab.make()
        let stranger = try Lab.make()
        try await lab.serving { server in
            let foreign = try stranger.credential(role: .admin)
            await #expect(throws: (any Error).self) { try await server.ask(.GET, "/v1/status", as: foreign) }
            await #expect(throws: (any Error).self) { try await server.ask(.GET, "/healthz", as: foreign) }
        }
    }

    @Test func aCertificateForAnotherClusterIsForbidden() async throws {
        let lab = try Lab.make()
        // The same key as the authority of another cluster: the handshake succeeds, the name does not match.
        let trust = try ClusterTrust(
            cluster: ClusterID(rawValue: 7), certificate: lab.authority.trust.certificate)
        #expect(trust.cluster != lab.cluster)
        let other = Lab(
            cluster: trust.cluster, authority: try ClusterAuthority(trust: trust, key: lab.authority.key),
            agent: lab.agent,
            memberKeys: lab.memberKeys, members: lab.members, founder: nil)
        try await lab.serving { server in
            let answer = try await server.ask(.GET, "/v1/status", as: other.credential(role: .admin))
            #expect(answer.status == 403)
            #expect(answer.failure?.next.contains("context") == true)
        }
    }

    @Test func aRenewedCertificateIsShownToNewConnections() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let viewer = try lab.credential(role: .viewer)
            #expect(try await server.ask(.GET, "/v1/status", as: viewer).status == 200)
            let newer = try lab.credential(member: 0)
            try server.store.renew(
                APICredentials(
                    certificateChainPEM: newer.certificate, keyPEM: newer.key, authorityPEM: lab.authorityPEM))
            #expect(try await server.ask(.GET, "/v1/status", as: viewer).status == 200)
            #expect(throws: (any Error).self) {
                try server.store.renew(APICredentials(certificateChainPEM: "x", keyPEM: "y", authorityPEM: ""))
            }
            #expect(try await server.ask(.GET, "/v1/status", as: viewer).status == 200)
        }
    }
}
