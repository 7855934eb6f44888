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

/// A listening socket with TLS.
final class HTTPSListener: Sendable {
    /// The longest body taken, in bytes.
    static let mostBody = 1 << 20

    typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPPart<HTTPResponseHead, ByteBuffer>>

    private let server: NIOAsyncChannel<Connection, Never>
    private let shared: SharedCertificate
    let port: Int

    private init(server: NIOAsyncChannel<Connection, Never>, certificate: SharedCertificate) throws {
        self.server = server
        shared = certificate
        guard let port = server.channel.localAddress?.port else { throw ChannelError.unknownLocalAddress }
        self.port = port
    }

    /// Opens the socket; nothing is answered before `run`.
    static func open(
        host: String, port: Int, certificate: ServerCertificate, group: any EventLoopGroup
    ) async throws -> HTTPSListener {
        let shared = SharedCertificate(certificate)
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    try operations.addHandler(NIOSSLServerHandler(context: shared.current.context))
                    try operations.configureHTTPServerPipeline(withErrorHandling: true)
                    try operations.addHandler(ResponseBytes())
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        return try HTTPSListener(server: server, certificate: shared)
    }

    /// The certificate of connections from now on.
    func use(_ certificate: ServerCertificate) { shared.replace(certificate) }

    /// Answers until the task is cancelled.
    func run(_ answer: @escaping @Sendable (WireRequest) async -> WireResponse) async throws {
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections {
                    group.addTask {
                        // A client that goes away in the middle is its own affair.
                        try? await Self.serve(connection, answer)
                    }
                }
            }
        }
    }

    private static func serve(
        _ connection: Connection, _ answer: @Sendable (WireRequest) async -> WireResponse
    ) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var parts = inbound.makeAsyncIterator()
            while let (head, body) = try await nextRequest(&parts) {
                let request = WireRequest(
                    method: head.method.rawValue, target: head.uri, headers: head.headers, body: body)
                let response = await answer(request)
                guard try await send(response, keepAlive: head.isKeepAlive, outbound), head.isKeepAlive else { return }
            }
        }
    }

    private static func nextRequest(
        _ parts: inout NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator
    ) async throws -> (HTTPRequestHead, [UInt8])? {
        var head: HTTPRequestHead?
        var body: [UInt8] = []
        while let part = try await parts.next() {
            switch part {
            case .head(let value): head = value
            case .body(let buffer):
                guard body.count + buffer.readableBytes <= mostBody else { return nil }
                body.append(contentsOf: buffer.readableBytesView)
            case .end: if let head { return (head, body) }
            }
        }
        return nil
    }

    /// - Returns: whether the connection lives on.
    private static func send(
        _ response: WireResponse, keepAlive: Bool,
        _ outbound: NIOAsyncChannelOutboundWriter<HTTPPart<HTTPResponseHead, ByteBuffer>>
    ) async throws -> Bool {
        if case .cut = response.ending { return false }
        var headers = HTTPHeaders(response.headers)
        headers.add(name: "Content-Length", value: String(response.body.count))
        headers.add(name: "Server", value: "pve-api-daemon/3.0")
        headers.add(name: "Connection", value: keepAlive ? "keep-alive" : "close")
        let status = HTTPResponseStatus.custom(code: UInt(response.status), reasonPhrase: response.reason)
        var parts: [HTTPPart<HTTPResponseHead, ByteBuffer>] = [
            .head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))
        ]
        guard case .whole = response.ending else {
            parts.append(.body(ByteBuffer(bytes: response.body.prefix(response.body.count / 2))))
            try await outbound.write(contentsOf: parts)
            return false
        }
        if !response.body.isEmpty { parts.append(.body(ByteBuffer(bytes: response.body))) }
        parts.append(.end(nil))
        try await outbound.write(contentsOf: parts)
        return true
    }
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
