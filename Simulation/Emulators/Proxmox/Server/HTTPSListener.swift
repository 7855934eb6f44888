// The HTTPS server of a host: bytes in, requests out, answers back with their reason phrases. It also breaks answers off
// where a fault says so. It knows nothing of what is asked.

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// A request as it came over the wire.
struct WireRequest: Sendable {
    var method: String
    /// Path and query, as sent.
    var target: String
    var headers: HTTPHeaders
    var body: [UInt8]
}

/// What is sent back.
struct WireResponse: Sendable {
    enum Ending: Sendable {
        case whole
        /// Half of the body, then the connection is closed.
        case half
        /// Nothing at all; the connection is closed.
        case cut
    }

    var status: Int
    var reason: String
    var headers: [(String, String)] = []
    var body: [UInt8] = []
    var ending = Ending.whole
}

/// A request and the connection that waits for its answer.
private struct WaitingRequest: Sendable {
    let request: WireRequest
    let keepsAlive: Bool
    let channel: any Channel
}

/// A listening socket with TLS.
final class HTTPSListener: Sendable {
    /// The longest body taken, in bytes.
    static let mostBody = 1 << 20

    private let server: any Channel
    private let connections: OpenConnections
    private let requests: AsyncStream<WaitingRequest>
    private let shared: SharedCertificate
    let port: Int

    private init(
        server: any Channel, connections: OpenConnections, requests: AsyncStream<WaitingRequest>,
        certificate: SharedCertificate
    ) throws {
        (self.server, self.connections, self.requests, shared) = (server, connections, requests, certificate)
        guard let port = server.localAddress?.port else { throw ChannelError.unknownLocalAddress }
        self.port = port
    }

    /// Opens the socket; nothing is answered before `run`.
    static func open(
        host: String, port: Int, certificate: ServerCertificate, group: any EventLoopGroup
    ) async throws -> HTTPSListener {
        let shared = SharedCertificate(certificate)
        let connections = OpenConnections()
        let (requests, arriving) = AsyncStream<WaitingRequest>.makeStream()
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    try operations.addHandler(NIOSSLServerHandler(context: shared.current.context))
                    try operations.configureHTTPServerPipeline(withErrorHandling: true)
                    try operations.addHandler(ResponseBytes())
                    try operations.addHandler(RequestReader { arriving.yield($0) })
                    connections.take(channel)
                }
            }
            .bind(host: host, port: port).get()
        return try HTTPSListener(server: server, connections: connections, requests: requests, certificate: shared)
    }

    /// The certificate of connections from now on.
    func use(_ certificate: ServerCertificate) { shared.replace(certificate) }

    /// Answers until the task is cancelled; then nothing of it is open any more. To be called once.
    func run(_ answer: @escaping @Sendable (WireRequest) async -> WireResponse) async throws {
        await withDiscardingTaskGroup { group in
            for await waiting in requests {
                group.addTask { Self.send(await answer(waiting.request), to: waiting) }
            }
        }
        connections.closeAll()
        try await server.close()
    }

    /// A client that has gone away in the middle is its own affair.
    private static func send(_ response: WireResponse, to waiting: WaitingRequest) {
        let channel = waiting.channel
        if case .cut = response.ending { return channel.close(promise: nil) }
        var headers = HTTPHeaders(response.headers)
        headers.add(name: "Content-Length", value: String(response.body.count))
        headers.add(name: "Server", value: "pve-api-daemon/3.0")
        headers.add(name: "Connection", value: waiting.keepsAlive ? "keep-alive" : "close")
        let status = HTTPResponseStatus.custom(code: UInt(response.status), reasonPhrase: response.reason)
        typealias Part = HTTPPart<HTTPResponseHead, ByteBuffer>
        channel.write(Part.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers)), promise: nil)
        guard case .whole = response.ending else {
            let half = ByteBuffer(bytes: response.body.prefix(response.body.count / 2))
            channel.writeAndFlush(Part.body(half)).whenComplete { _ in channel.close(promise: nil) }
            return
        }
        if !response.body.isEmpty { channel.write(Part.body(ByteBuffer(bytes: response.body)), promise: nil) }
        let written = channel.writeAndFlush(Part.end(nil))
        if !waiting.keepsAlive { written.whenComplete { _ in channel.close(promise: nil) } }
    }
}

/// The connections that are open, so that they end with the server.
private final class OpenConnections: Sendable {
    private let open = Mutex<(channels: [ObjectIdentifier: any Channel], areEnded: Bool)>(([:], false))

    func take(_ channel: any Channel) {
        let isLate = open.withLock { state in
            if !state.areEnded { state.channels[ObjectIdentifier(channel)] = channel }
            return state.areEnded
        }
        guard !isLate else { return channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in
            self.open.withLock { $0.channels[ObjectIdentifier(channel)] = nil }
        }
    }

    func closeAll() {
        let all = open.withLock { state in
            state.areEnded = true
            return Array(state.channels.values)
        }
        for channel in all { channel.close(promise: nil) }
    }
}

/// Puts requests together; one at a time, as the pipeline sees to.
private final class RequestReader: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    private let take: @Sendable (WaitingRequest) -> Void
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(_ take: @escaping @Sendable (WaitingRequest) -> Void) { self.take = take }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let value): (head, body) = (value, [])
        case .body(let buffer):
            guard body.count + buffer.readableBytes <= HTTPSListener.mostBody else {
                return context.close(promise: nil)
            }
            body.append(contentsOf: buffer.readableBytesView)
        case .end:
            guard let head else { return }
            take(
                WaitingRequest(
                    request: WireRequest(
                        method: head.method.rawValue, target: head.uri, headers: head.headers, body: body),
                    keepsAlive: head.isKeepAlive, channel: context.channel))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// The certificate that new connections are shown.
final class SharedCertificate: Sendable {
    private let certificate: Mutex<ServerCertificate>

    init(_ certificate: ServerCertificate) { self.certificate = Mutex(certificate) }

    var current: ServerCertificate { certificate.withLock { $0 } }
    func replace(_ new: ServerCertificate) { certificate.withLock { $0 = new } }
}

/// NIO's encoder wants bodies as `IOData`; an asynchronous channel wants something sendable.
private final class ResponseBytes: ChannelOutboundHandler {
    typealias OutboundIn = HTTPPart<HTTPResponseHead, ByteBuffer>
    typealias OutboundOut = HTTPServerResponsePart

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part: HTTPServerResponsePart =
            switch unwrapOutboundIn(data) {
            case .head(let head): .head(head)
            case .body(let buffer): .body(.byteBuffer(buffer))
            case .end(let trailers): .end(trailers)
            }
        context.write(wrapOutboundOut(part), promise: promise)
    }
}
