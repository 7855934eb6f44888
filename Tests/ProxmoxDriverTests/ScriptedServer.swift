// An HTTPS server that answers as a test says: for what no emulator would do, and for recorded answers.

import Crypto
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization
import X509

@testable import ProxmoxDriver

/// A request as the server saw it.
struct SeenRequest: Hashable, Sendable {
    let method: String
    let path: String
    let query: String
    let authorization: String
    let body: String
    /// Of the connections the server accepted, the how many-eth.
    let connection: Int
    var line: String { "\(method) \(path)" }
}

enum ScriptedAnswer: Sendable {
    case answer(Int, String, String)
    case data(String)
    /// Takes the request and says nothing.
    case silence
    /// Takes the request and closes.
    case close
    /// These bytes, and a close.
    case bytes(String)
}

/// Serves until it is dropped.
final class ScriptedServer: Sendable {
    let port: Int
    let fingerprint: CertificateFingerprint
    let certificatePEM: String
    private let channel: any Channel
    private let state = Mutex<(seen: [SeenRequest], connections: Int)>(([], 0))

    /// No word that a sentence could hold by chance.
    static let secret = "5f0c7a7e-2d1b"

    var seen: [SeenRequest] { state.withLock { $0.seen } }
    var changes: [String] { seen.filter { $0.method != "GET" }.map(\.line) }

    init(_ script: @escaping @Sendable (SeenRequest) -> ScriptedAnswer) async throws {
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName { CommonName("pve1") }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
            notValidBefore: Date() - 3_600, notValidAfter: Date() + 86_400, issuer: name, subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                BasicConstraints.isCertificateAuthority(maxPathLength: nil)
                SubjectAlternativeNames([.ipAddress(.init(contentBytes: [127, 0, 0, 1])), .dnsName("localhost")])
            }, issuerPrivateKey: .init(key))
        let pem = try certificate.serializeAsPEM()
        certificatePEM = pem.pemString
        fingerprint = CertificateFingerprint(certificate: pem.derBytes)
        let tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(try NIOSSLCertificate(bytes: pem.derBytes, format: .der))],
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(key.derRepresentation), format: .der)))
        let context = try NIOSSLContext(configuration: tls)
        let box = Box()
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    let number = box.server?.state.withLock { state in
                        state.connections += 1
                        return state.connections
                    }
                    try channel.pipeline.syncOperations.addHandler(Answering(box, number ?? 0, script))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress!.port!
        box.server = self
    }

    deinit { channel.close(promise: nil) }

    /// A client of this server, with a token that means nothing.
    func client(_ change: (inout ProxmoxAccess) -> Void = { _ in }) throws -> ProxmoxClient {
        var access = ProxmoxAccess(
            port: port, trust: .fingerprint(fingerprint),
            token: try ProxmoxToken(id: "ops@pve!agent", secret: Self.secret))
        // A test that is about a time-out says so; none is to fail because the machine is busy.
        (access.readLimit, access.writeLimit) = (.seconds(60), .seconds(60))
        change(&access)
        return try ProxmoxClient(access)
    }

    func host(_ change: (inout ProxmoxAccess) -> Void = { _ in }) throws -> ProxmoxHost {
        var host = ProxmoxHost(client: try client(change), node: NodeName("pve1")!)
        host.lockPatience = .zero
        return host
    }

    fileprivate func note(_ request: SeenRequest) { state.withLock { $0.seen.append(request) } }

    /// Set before the first request can come.
    fileprivate final class Box: @unchecked Sendable { weak var server: ScriptedServer? }

    private final class Answering: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private let box: Box
        private let connection: Int
        private let script: @Sendable (SeenRequest) -> ScriptedAnswer
        private var head: HTTPRequestHead?
        private var body = ""

        init(_ box: Box, _ connection: Int, _ script: @escaping @Sendable (SeenRequest) -> ScriptedAnswer) {
            (self.box, self.connection, self.script) = (box, connection, script)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): (self.head, body) = (head, "")
            case .body(let part): body += String(decoding: part.readableBytesView, as: UTF8.self)
            case .end: answer(context)
            }
        }

        private func answer(_ context: ChannelHandlerContext) {
            guard let head else { return }
            let parts = head.uri.split(separator: "?", maxSplits: 1)
            let request = SeenRequest(
                method: head.method.rawValue, path: String(parts[0].dropFirst("/api2/json".count)),
                query: parts.count > 1 ? String(parts[1]) : "",
                authorization: head.headers["authorization"].first ?? "",
                body: body, connection: connection)
            box.server?.note(request)
            switch script(request) {
            case .silence: break
            case .close: context.close(promise: nil)
            case .bytes(let text):
                // Past the encoder: it would not let nonsense through.
                let encoder = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
                encoder?.writeAndFlush(NIOAny(context.channel.allocator.buffer(string: text)), promise: nil)
                context.close(promise: nil)
            case .data(let json): send(200, "OK", "{\"data\":\(json)}", head, context)
            case .answer(let status, let reason, let text): send(status, reason, text, head, context)
            }
        }

        private func send(
            _ status: Int, _ reason: String, _ text: String, _ request: HTTPRequestHead,
            _ context: ChannelHandlerContext
        ) {
            let isKept = request.headers["connection"].first != "close"
            let head = HTTPResponseHead(
                version: .http1_1, status: .custom(code: UInt(status), reasonPhrase: reason),
                headers: ["Content-Length": "\(text.utf8.count)", "Connection": isKept ? "keep-alive" : "close"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(
                wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: text)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            if !isKept { context.close(promise: nil) }
        }
    }
}
