// One HTTPS request to a member of a cluster that is known by its authorities, or only by the hash of one's key.
// Used while this machine has no valid certificate. One connection, one request, one answer of at most a mebibyte.

import Consensus
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOTLS

struct PinnedRequest: Sendable {
    /// How the cluster is recognized.
    enum Mark: Sendable {
        case pin(String, of: ClusterID)
        case trust(ClusterTrust)
    }

    let mark: Mark

    init(cluster: ClusterID, pin: String) { mark = .pin(pin, of: cluster) }
    init(trust: ClusterTrust) { mark = .trust(trust) }

    struct Answer: Sendable {
        var status: Int
        var body: [UInt8]
    }

    static let mostAnswerBytes = 1_048_576

    /// - Throws: why there is no answer, in words.
    func post(
        path: String, body: [UInt8], to endpoint: Endpoint, until deadline: NIODeadline, group: any EventLoopGroup
    ) async throws -> Answer {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .noHostnameVerification
        configuration.applicationProtocols = ["http/1.1"]
        configuration.shutdownTimeout = .milliseconds(250)
        let context = try NIOSSLContext(configuration: configuration)
        let loop = group.next()
        let promise = loop.makePromise(of: Answer.self)
        let mark = mark
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(max(.milliseconds(1), min(.seconds(5), deadline - .now())))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let exchange = PinnedExchange(path: path, body: body, endpoint: endpoint, promise: promise)
                    let tls = try NIOSSLClientHandler(context: context, serverHostname: nil) { chain, verdict in
                        let refusal = Self.refusal(of: chain, mark)
                        exchange.refusal = refusal
                        verdict.succeed(refusal == nil ? .certificateVerified : .failed)
                    }
                    try channel.pipeline.syncOperations.addHandler(tls)
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(exchange)
                }
            }
            .connect(host: endpoint.host, port: endpoint.port)
        connecting.whenFailure { promise.fail(PinnedRequestError.unreachable("\($0)")) }
        let alarm = loop.scheduleTask(deadline: deadline) { promise.fail(PinnedRequestError.tooSlow) }
        defer {
            alarm.cancel()
            connecting.whenSuccess { $0.close(promise: nil) }
        }
        return try await promise.futureResult.get()
    }

    private static func refusal(of chain: [NIOSSLCertificate], _ mark: Mark) -> CertificateRefusal? {
        do throws(CertificateRefusal) {
            let encoded = chain.prefix(ClusterTrust.mostCertificates).compactMap { try? $0.toDERBytes() }
            let trust: ClusterTrust
            switch mark {
            case .pin(let pin, let cluster): trust = try ClusterTrust(cluster: cluster, pin: pin, among: encoded)
            case .trust(let known): trust = known
            }
            guard case .member = try trust.authenticate(chain: encoded, as: .server) else {
                throw .unusable("it is not a member's")
            }
            return nil
        } catch { return error }
    }
}

enum PinnedRequestError: Error, CustomStringConvertible {
    case unreachable(String)
    case notTrusted(CertificateRefusal)
    case tooSlow
    case tooLong
    case broken(String)

    var description: String {
        switch self {
        case .unreachable(let why): "cannot connect: \(why)"
        case .notTrusted(let refusal): "it is not the cluster of this token: \(refusal)"
        case .tooSlow: "no answer in time"
        case .tooLong: "it answered more than \(PinnedRequest.mostAnswerBytes) bytes"
        case .broken(let why): "the connection broke: \(why)"
        }
    }
}

/// Sends the request when TLS stands, gathers the answer.
private final class PinnedExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    var refusal: CertificateRefusal?
    private let path: String
    private let requestBody: [UInt8]
    private let endpoint: Endpoint
    private let promise: EventLoopPromise<PinnedRequest.Answer>
    private var status = 0
    private var answer: [UInt8] = []

    init(path: String, body: [UInt8], endpoint: Endpoint, promise: EventLoopPromise<PinnedRequest.Answer>) {
        self.path = path
        requestBody = body
        self.endpoint = endpoint
        self.promise = promise
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event { send(context) }
        context.fireUserInboundEventTriggered(event)
    }

    private func send(_ context: ChannelHandlerContext) {
        let headers: HTTPHeaders = [
            "Host": endpoint.description, "Content-Type": "application/json", "Accept": "application/json",
            "Content-Length": String(requestBody.count), "Connection": "close",
        ]
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: path, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(
            wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: requestBody)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): status = Int(head.status.code)
        case .body(let part):
            guard answer.count + part.readableBytes <= PinnedRequest.mostAnswerBytes else {
                promise.fail(PinnedRequestError.tooLong)
                return context.close(promise: nil)
            }
            answer += part.readableBytesView
        case .end:
            promise.succeed(.init(status: status, body: answer))
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(refusal.map(PinnedRequestError.notTrusted) ?? .broken("\(error)"))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(refusal.map(PinnedRequestError.notTrusted) ?? .broken("it was closed before an answer"))
        context.fireChannelInactive()
    }
}
