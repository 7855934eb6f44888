// Joining over TLS, against a small server that is a member.

import Cluster
import Consensus
import Crypto
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Testing

@testable import Runtime

/// A member's API as far as joining needs it.
final class JoinServer: Sendable {
    typealias Answer = @Sendable (JoinRequest) throws -> (status: Int, body: [UInt8])
    let channel: any Channel
    let asked = Ledger<JoinRequest>()
    var endpoint: Endpoint { Endpoint(host: "127.0.0.1", port: channel.localAddress?.port ?? 0) }

    init(_ identity: MemberIdentity, answer: @escaping Answer) async throws {
        let context = try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: identity.certificateChain(), privateKey: identity.privateKeySource()))
        let asked = asked
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let sync = channel.pipeline.syncOperations
                    try sync.addHandler(NIOSSLServerHandler(context: context))
                    try sync.configureHTTPServerPipeline()
                    try sync.addHandler(Responder(asked: asked, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func stop() async { try? await channel.close() }

    private final class Responder: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        let asked: Ledger<JoinRequest>
        let answer: Answer
        var body: [UInt8] = []

        init(asked: Ledger<JoinRequest>, answer: @escaping Answer) {
            self.asked = asked
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): if head.uri != "/v1/join" || head.method != .POST { context.close(promise: nil) }
            case .body(let part): body += part.readableBytesView
            case .end: respond(context)
            }
        }

        private func respond(_ context: ChannelHandlerContext) {
            guard let request = try? JSONDecoder().decode(JoinRequest.self, from: Data(body)),
                let (status, body) = try? answer(request)
            else { return context.close(promise: nil) }
            asked.add(request)
            let headers: HTTPHeaders = ["Content-Length": String(body.count)]
            context.write(
                wrapOutboundOut(.head(.init(version: .http1_1, status: .init(statusCode: status), headers: headers))),
                promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct IdentityJoinTests {
    let cluster: TestCluster
    let key = P256.Signing.PrivateKey()
    let applicant = JoinApplicant(name: "pve2", address: "127.0.0.1", peerPort: 7000, apiPort: 7443, version: "0.1.0")

    init() throws { cluster = try TestCluster() }

    private func token(_ endpoints: [Endpoint], kind: MemberKind = .host) -> JoinTokenText {
        JoinTokenText(trust: cluster.founder.trust, endpoints: endpoints, kind: kind)
    }

    private func join(_ token: JoinTokenText) async throws(JoinError) -> MemberIdentity {
        try await JoinClient.join(
            token: token, applicant: applicant, key: key, group: MultiThreadedEventLoopGroup.singleton,
            timeout: .seconds(20))
    }

    /// Admits everybody.
    private func admitting(_ identity: MemberIdentity) -> @Sendable (JoinRequest) throws -> (status: Int, body: [UInt8])
    {
        { request in
            let members = [identity.settings.record(version: "0.1.0")]
            let enrollment = Enrollment(identity: identity)
            do {
                let prepared = try enrollment.prepare(request, members: members)
                let response = try enrollment.complete(prepared, members: members + [prepared.record])
                return (200, Array(try JSONEncoder().encode(response)))
            } catch let refusal as EnrollmentRefusal {
                return (refusal.status, Array(try JSONEncoder().encode(refusal.body)))
            }
        }
    }

    /// Nobody listens on the port for tcpmux; one that was free a moment ago may be another test's by now.
    private let dead = Endpoint(host: "127.0.0.1", port: 1)

    @Test func aMachineWithATokenBecomesAMember() async throws {
        let server = try await JoinServer(cluster.founder, answer: admitting(cluster.founder))
        let joined = try await join(token([server.endpoint]))
        #expect(joined.member == MemberID(publicKey: key.publicKey))
        #expect(joined.settings.kind == .host)
        #expect(joined.authority != nil)
        #expect(joined.settings.knownMembers.map(\.name).sorted() == ["pve1", "pve2"])
        await server.stop()
    }

    @Test func aWitnessGetsNoAuthorityKey() async throws {
        let server = try await JoinServer(cluster.founder, answer: admitting(cluster.founder))
        #expect(try await join(token([server.endpoint], kind: .witness)).authority == nil)
        await server.stop()
    }

    @Test func anotherClusterIsNotToldTheSecret() async throws {
        let other = try TestCluster()
        let server = try await JoinServer(other.founder, answer: admitting(other.founder))
        let error = await #expect(throws: JoinError.self) { try await join(token([server.endpoint])) }
        #expect(error?.description.contains("pins") == true)
        #expect(server.asked.items.isEmpty)
        await server.stop()
    }

    @Test func anExpiredMemberIsNotToldTheSecret() async throws {
        let expired = try cluster.member("pve9", issued: Date() - 100 * 86_400, withAuthority: true)
        let server = try await JoinServer(expired, answer: admitting(expired))
        let error = await #expect(throws: JoinError.self) { try await join(token([server.endpoint])) }
        #expect(error?.description.contains("expired") == true)
        #expect(server.asked.items.isEmpty)
        await server.stop()
    }

    @Test func theServersWordsAreShown() async throws {
        let body = Array(#"{"message":"the join token has expired"}"#.utf8)
        let server = try await JoinServer(cluster.founder) { _ in (403, body) }
        let error = await #expect(throws: JoinError.self) { try await join(token([server.endpoint])) }
        #expect(error == .refused(by: server.endpoint, "the join token has expired (HTTP 403)"))
        await server.stop()
    }

    @Test func theNextEndpointIsTriedWhenOneIsDeadOrBusy() async throws {
        let busy = try await JoinServer(cluster.founder) { _ in (503, Array("no leader".utf8)) }
        let good = try await JoinServer(cluster.founder, answer: admitting(cluster.founder))
        let joined = try await join(token([dead, busy.endpoint, good.endpoint]))
        #expect(joined.member == MemberID(publicKey: key.publicKey))
        await busy.stop()
        await good.stop()
    }

    @Test func aMemberWithoutTheAuthoritySendsUsOn() async throws {
        let host = try await JoinServer(cluster.founder, answer: admitting(cluster.founder))
        let body = Array(#"{"endpoints":["\#(host.endpoint)"],"message":"ask a host"}"#.utf8)
        let witness = try await JoinServer(try cluster.member("witness", kind: .witness)) { _ in (421, body) }
        #expect(try await join(token([witness.endpoint])).authority != nil)
        await witness.stop()
        await host.stop()
    }

    @Test func twoMembersThatSendUsToEachOtherAreAskedOnce() async throws {
        let witness = try cluster.member("witness", kind: .witness)
        let next = Ledger<String>()
        let server = try await JoinServer(witness) { _ in
            (421, Array(#"{"endpoints":["\#(next.items[0])"],"message":"ask a host"}"#.utf8))
        }
        next.add("\(server.endpoint)")
        await #expect(throws: JoinError.self) { try await join(token([server.endpoint])) }
        #expect(server.asked.items.count == 1)
        await server.stop()
    }

    @Test func nobodyAnsweringIsSaidWithEveryEndpoint() async throws {
        let error = await #expect(throws: JoinError.self) { try await join(token([dead])) }
        #expect(error?.description.contains("\(dead)") == true)
    }

    @Test func anAnswerForAnotherKeyIsNotTaken() async throws {
        let founder = cluster.founder
        let server = try await JoinServer(founder) { request in
            var changed = request
            changed.csr = try SigningRequest.make(name: "pve2", key: P256.Signing.PrivateKey())
            let members = [founder.settings.record(version: "0.1.0")]
            let prepared = try Enrollment(identity: founder).prepare(changed, members: members)
            let response = try Enrollment(identity: founder).complete(prepared, members: members + [prepared.record])
            return (200, Array(try JSONEncoder().encode(response)))
        }
        let endpoint = server.endpoint
        let error = await #expect(throws: JoinError.self) { try await join(token([endpoint], kind: .witness)) }
        guard case .unusableAnswer = error else {
            Issue.record("an identity of somebody else was taken: \(String(describing: error))")
            return
        }
        await server.stop()
    }

    @Test func nonsenseIsNoJoinResponse() async throws {
        let server = try await JoinServer(cluster.founder) { _ in (200, Array("hello".utf8)) }
        let error = await #expect(throws: JoinError.self) { try await join(token([server.endpoint])) }
        #expect(error?.description.contains("no join response") == true)
        await server.stop()
    }
}
