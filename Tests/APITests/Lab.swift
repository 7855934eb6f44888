// A small lab for tests: two hosts, a witness and a guest, an address, and an authority that signs for whoever asks.

@testable import API
@testable import Agent
import AsyncHTTPClient
import Cluster
import Consensus
import Decisions
import Crypto
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Runtime
import ServiceLifecycle
import Testing
import X509

/// A key and a certificate for it, in PEM.
struct Credential: Sendable {
    var certificate: String
    var key: String
}

struct Lab: Sendable {
    let cluster: ClusterID
    let authority: ClusterAuthority
    let agent: InMemoryAgent
    let memberKeys: [P256.Signing.PrivateKey]
    let members: [MemberID]
    /// The administrator whose record stands in the first command; nil in a cluster of an older version.
    let founder: Credential?

    /// pve1 leads and holds kube-api; k8s-cp1 runs on pve1 and is a candidate too; the witness keeps the log.
    static func make(declared: Bool = true, founded: Bool = false) throws -> Lab {
        let cluster = ClusterID(rawValue: 0xC1A5_7E12)
        let authority = try ClusterAuthority.create(cluster: cluster)
        let root = P256.Signing.PrivateKey()
        let founder = OperatorRecord(
            name: "root", role: .admin, key: ClusterTrust.pin(of: root.publicKey), certificateExpires: .max)
        let keys = (0..<4).map { _ in P256.Signing.PrivateKey() }
        let ids = keys.map { MemberID(publicKey: $0.publicKey) }
        let agent = InMemoryAgent(member: ids[0], voters: Array(ids[..<3]), learners: [ids[3]])
        let kinds: [(String, MemberKind, String)] = [
            ("pve1", .host, ""), ("pve2", .host, ""), ("witness", .witness, ""), ("k8s-cp1", .guest, "pve1"),
        ]
        for (position, kind) in kinds.enumerated() {
            let record = MemberRecord(
                id: ids[position], name: kind.0, kind: kind.1, host: kind.2,
                peerEndpoint: "127.0.0.\(position + 1):7000", apiEndpoint: "127.0.0.\(position + 1):7001",
                version: "0.1.0")
            if position == 0 {
                agent.apply(
                    .bootstrap(clusterName: "home", member: record, founder: founded ? founder : nil))
            } else {
                let token = JoinToken(id: "\(position)", secretHash: "h", kind: kind.1, expiresMilliseconds: .max)
                agent.apply(.createToken(token))
                agent.apply(.join(tokenID: "\(position)", secretHash: "h", member: record))
                agent.apply(.observeMember(ids[position], reachable: true, reason: "answers"))
            }
        }
        if declared {
            agent.apply(.apply(declarations: [try Declaration.kubeAPI()], checkRevision: nil))
            agent.apply(
                .assign(role: .kubeAPI, epoch: 0, to: ids[0], reason: "first candidate that can", because: nil))
        }
        return Lab(
            cluster: cluster, authority: authority, agent: agent, memberKeys: keys, members: ids,
            founder: founded ? try credential(of: authority, "root", .admin, root) : nil)
    }

    func credential(_ name: String = "alice", role: OperatorRole) throws -> Credential {
        try Self.credential(of: authority, name, role, P256.Signing.PrivateKey())
    }

    private static func credential(
        of authority: ClusterAuthority, _ name: String, _ role: OperatorRole, _ key: P256.Signing.PrivateKey
    ) throws -> Credential {
        let certificate = try authority.issue(operator: name, role: role, key: key.publicKey)
        return Credential(certificate: try certificate.serializeAsPEM().pemString, key: key.pemRepresentation)
    }

    static func sign(
        _ authority: ClusterAuthority, _ name: String, _ role: OperatorRole, _ csr: String
    ) throws -> SignedOperator {
        guard let key = P256.Signing.PublicKey(try CertificateSigningRequest(pemEncoded: csr).publicKey) else {
            throw TestFailure(words: "the signing request has no P-256 key")
        }
        let certificate = try authority.issue(operator: name, role: role, key: key)
        let pem = try certificate.serializeAsPEM()
        return SignedOperator(
            certificate: pem.pemString,
            key: try authority.trust.identify(chain: [pem.derBytes], as: .client).key,
            expiresMilliseconds: Int64(certificate.notValidAfter.timeIntervalSince1970 * 1000))
    }

    func credential(member position: Int) throws -> Credential {
        let key = memberKeys[position]
        let certificate = try authority.issue(member: "m\(position)", key: key.publicKey)
        return Credential(certificate: try certificate.serializeAsPEM().pemString, key: key.pemRepresentation)
    }

    var authorityPEM: String { get throws { try authority.trust.certificate.serializeAsPEM().pemString } }

    /// Runs the server while `body` runs, on a free port of the loopback.
    func serving<Result: Sendable>(
        bounds: APIServer.Bounds = .init(),
        join: @escaping APIServer.Responder = { _ in (503, Array("{}".utf8)) },
        renew: @escaping APIServer.Responder = { _ in (503, Array("{}".utf8)) },
        sign: (@Sendable (String, OperatorRole, String) throws -> SignedOperator)? = nil,
        newAuthority: @escaping @Sendable (Int64, Bool) async throws -> AuthorityRotation.Plan? = { _, _ in nil },
        upkeep: APIServer.Upkeep = .none,
        _ body: @Sendable (TestServer) async throws -> Result
    ) async throws -> Result {
        let own = try credential(member: 0)
        let credentials = APICredentials(
            certificateChainPEM: own.certificate + "\n" + (try authorityPEM), keyPEM: own.key,
            authorityPEM: try authorityPEM)
        let (ports, feed) = AsyncStream.makeStream(of: Int.self)
        var logger = Logger(label: "test")
        logger.logLevel = .error
        let store = try APICredentialStore(credentials, cluster: cluster)
        let server = APIServer(
            access: agent, settings: .init(host: "127.0.0.1", port: 0, bounds: bounds), credentials: store,
            desk: .init(
                join: join, renew: renew,
                signOperator: { [authority] name, role, csr in
                    try sign?(name, role, csr) ?? Self.sign(authority, name, role, csr)
                }, newAuthority: newAuthority), selfMeasurement: { SelfReadings.example },
            upkeep: upkeep, logger: logger, onListening: { feed.yield($0) })
        let group = ServiceGroup(configuration: .init(services: [server], logger: logger))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { feed.finish() }
                try await group.run()
            }
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else {
                try await tasks.waitForAll()
                throw TestFailure(words: "the server ended before it listened")
            }
            do {
                let result = try await body(TestServer(lab: self, port: port, store: store))
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
                return result
            } catch {
                agent.set(.serving)
                await group.triggerGracefulShutdown()
                throw error
            }
        }
    }
}

struct TestFailure: Error { var words: String }

extension ResourceKey {
    static let kubeAPI = ResourceKey(kind: "VirtualIP", name: "kube-api")
}

extension Declaration {
    static func kubeAPI(
        name: String = "kube-api", address: String = "192.168.1.99/24",
        candidates: [String] = ["pve1", "pve2", "k8s-cp1"]
    ) throws -> Declaration {
        Declaration(
            kind: "VirtualIP", name: name,
            spec: [
                "address": .string(address),
                "candidates": .array(candidates.map { ["member": .string($0)] }),
            ])
    }
}

/// A running server and how to talk to it.
struct TestServer: Sendable {
    let lab: Lab
    let port: Int
    let store: APICredentialStore

    struct Answer: Sendable {
        var status: Int
        var headers: [String: String]
        var body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }
        func decoded<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
            try CanonicalJSON.decode(type, from: body)
        }
        /// The code of the error in it.
        var failure: APIFailure? { try? CanonicalJSON.decode(FailureBody.self, from: body).error }
    }

    /// One request on a connection of its own.
    func ask(
        _ method: HTTPMethod, _ path: String, as credential: Credential?, headers: [(String, String)] = [],
        body: [UInt8]? = nil
    ) async throws -> Answer {
        try await withHTTPClient(credential) { client in
            var request = HTTPClientRequest(url: "https://127.0.0.1:\(port)\(path)")
            request.method = method
            // No test of something else hangs on how fast the machine is.
            request.headers.add(name: "Holdfast-Timeout", value: "60000")
            for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
            if let body { request.body = .bytes(body) }
            let response = try await client.execute(request, timeout: .seconds(60))
            let bytes = try await response.body.collect(upTo: 64 * 1024 * 1024)
            var fields: [String: String] = [:]
            for (name, value) in response.headers { fields[name.lowercased()] = value }
            let answer = Answer(status: Int(response.status.code), headers: fields, body: Array(buffer: bytes))
            let objections = SchemaCheck.objections(
                method.rawValue, path, status: answer.status, type: fields["content-type"], body: answer.body)
            #expect(objections.isEmpty, "the answer is not as /openapi.json says")
            return answer
        }
    }

    func ask(
        _ method: HTTPMethod, _ path: String, as credential: Credential?, headers: [(String, String)] = [],
        json: some Encodable
    ) async throws -> Answer {
        try await ask(method, path, as: credential, headers: headers, body: try CanonicalJSON.encode(json))
    }

    func withHTTPClient<Result: Sendable>(
        _ credential: Credential?, connections: Int = 8, _ work: (HTTPClient) async throws -> Result
    ) async throws -> Result {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.certificateVerification = .noHostnameVerification
        tls.shutdownTimeout = .milliseconds(100)
        tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(try lab.authorityPEM.utf8)))
        if let credential {
            tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(credential.certificate.utf8))
                .map { .certificate($0) }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(credential.key.utf8), format: .pem))
        }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connections
        let client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)
        do {
            let result = try await work(client)
            try await client.shutdown().get()
            return result
        } catch {
            try await client.shutdown().get()
            throw error
        }
    }
}
