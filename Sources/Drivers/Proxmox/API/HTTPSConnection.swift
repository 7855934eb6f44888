// One TLS connection to the API: sends one request at a time and hands back its answer. No retries, no meaning of what
// is sent; a request that was sent and not answered is told apart from one that never left.

import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

/// Why there is no answer.
struct ExchangeFailure: Error, Hashable, CustomStringConvertible {
    enum Stage: Hashable { case connecting, refusedCertificate, waitingForAnswer }
    let stage: Stage
    let why: String
    /// On a connection used before, nothing of an answer had arrived: it may have been closed before the request came.
    var mayNeverHaveArrived = false
    var isTimeout = false
    var description: String { why }
}

/// An open connection, confined to its event loop.
final class HTTPSConnection: Sendable {
    private let channel: any Channel
    private let exchange: NIOLoopBound<Exchange>

    private init(channel: any Channel, exchange: NIOLoopBound<Exchange>) {
        self.channel = channel
        self.exchange = exchange
    }

    var isOpen: Bool { channel.isActive }
    func close() { channel.close(promise: nil) }

    /// Connects, and checks who answers.
    /// - Throws: `ExchangeFailure`.
    static func open(
        host: String, port: Int, trust: ServerTrust, context: NIOSSLContext, until deadline: NIODeadline
    ) async throws -> HTTPSConnection {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let ready = loop.makePromise(of: Void.self)
        let refusal = Refusal()
        // A name is asked for by SNI; an address must not be.
        let isAddress = (try? SocketAddress(ipAddress: host, port: port)) != nil
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(max(.milliseconds(1), deadline - .now()))
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let tls = try trust.handler(context, serverName: isAddress ? nil : host) { refusal.note($0) }
                    try channel.pipeline.syncOperations.addHandler(tls)
                    try channel.pipeline.syncOperations.addHandler(Exchange(ready: ready))
                }
            }
            .connect(host: host, port: port)
        connecting.whenFailure { ready.fail(ExchangeFailure(stage: .connecting, why: "no connection: \($0)")) }
        let alarm = loop.scheduleTask(deadline: deadline) {
            ready.fail(ExchangeFailure(stage: .connecting, why: "no connection in time", isTimeout: true))
        }
        defer { alarm.cancel() }
        return try await withTaskCancellationHandler {
            do {
                try await ready.futureResult.get()
                let channel = try await connecting.get()
                let exchange = try await channel.eventLoop.submit {
                    NIOLoopBound(try channel.pipeline.syncOperations.handler(type: Exchange.self), eventLoop: loop)
                }.get()
                return HTTPSConnection(channel: channel, exchange: exchange)
            } catch {
                connecting.whenSuccess { $0.close(promise: nil) }
                if let why = refusal.why { throw ExchangeFailure(stage: .refusedCertificate, why: why) }
                let failure = error as? ExchangeFailure
                // BoringSSL's words for a chain that does not end at the authority, or another name.
                if let text = failure?.why ?? Optional("\(error)"), Self.isAboutCertificate(text) {
                    throw ExchangeFailure(stage: .refusedCertificate, why: text)
                }
                throw failure ?? ExchangeFailure(stage: .connecting, why: "no connection: \(error)")
            }
        } onCancel: {
            ready.fail(ExchangeFailure(stage: .connecting, why: "given up"))
        }
    }

    private static func isAboutCertificate(_ text: String) -> Bool {
        [
            "CERTIFICATE_VERIFY_FAILED", "unableToValidateCertificate", "noCertificateToValidate",
            "failedToValidateHostname",
        ].contains {
            text.contains($0)
        }
    }

    /// Sends a request and waits for its answer. The connection is closed when there is none in time.
    /// - Throws: `ExchangeFailure`.
    func send(_ request: [UInt8], mostBodyBytes: Int, until deadline: NIODeadline) async throws -> RawAnswer {
        let promise = channel.eventLoop.makePromise(of: RawAnswer.self)
        let (channel, exchange) = (channel, exchange)
        return try await withTaskCancellationHandler {
            channel.eventLoop.execute {
                exchange.value.begin(request, mostBodyBytes, deadline, promise, on: channel)
            }
            return try await promise.futureResult.get()
        } onCancel: {
            channel.eventLoop.execute { exchange.value.giveUp(on: channel) }
        }
    }

    /// Why a certificate was refused; written by the TLS handler, read when connecting failed.
    private final class Refusal: Sendable {
        private let state = Mutex<String?>(nil)
        func note(_ why: String) { state.withLock { $0 = why } }
        var why: String? { state.withLock { $0 } }
    }
}

/// The end of the pipeline: one request at a time.
private final class Exchange: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var ready: EventLoopPromise<Void>?
    private var waiting: EventLoopPromise<RawAnswer>?
    private var reader = AnswerReader(mostBodyBytes: 0)
    private var alarm: Scheduled<Void>?
    private var requests = 0
    /// Whoever asked has gone; also when the request had not come here yet.
    private var isGivenUp = false

    init(ready: EventLoopPromise<Void>) { self.ready = ready }

    func begin(
        _ request: [UInt8], _ mostBodyBytes: Int, _ deadline: NIODeadline, _ promise: EventLoopPromise<RawAnswer>,
        on channel: any Channel
    ) {
        precondition(waiting == nil, "one request at a time")
        requests += 1
        waiting = promise
        reader = AnswerReader(mostBodyBytes: mostBodyBytes)
        guard !isGivenUp else { return fail("given up", on: channel) }
        guard channel.isActive else { return fail("the connection was closed before", on: channel) }
        alarm = channel.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.fail("no answer in time", isTimeout: true, on: channel)
        }
        channel.writeAndFlush(channel.allocator.buffer(bytes: request), promise: nil)
    }

    func giveUp(on channel: any Channel) {
        isGivenUp = true
        fail("given up", on: channel)
    }

    private func fail(_ why: String, isTimeout: Bool = false, on channel: any Channel) {
        guard let promise = waiting else { return }
        let fresh = requests > 1 && !reader.hasBegun && !isTimeout
        finish()
        promise.fail(
            ExchangeFailure(
                stage: .waitingForAnswer, why: why, mayNeverHaveArrived: fresh, isTimeout: isTimeout))
        channel.close(promise: nil)
    }

    private func finish() {
        waiting = nil
        alarm?.cancel()
        alarm = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event { ready?.succeed() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        // What comes unasked belongs to nothing.
        guard let promise = waiting else { return context.close(promise: nil) }
        do throws(AnswerFault) {
            try reader.take(bytes.readableBytesView)
            guard reader.isComplete else { return }
            let answer = reader.answer
            finish()
            if !answer.keepsConnection { context.close(promise: nil) }
            promise.succeed(answer)
        } catch {
            fail("\(error)", on: context.channel)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        ready?.fail(ExchangeFailure(stage: .connecting, why: "the connection was closed during the handshake"))
        do throws(AnswerFault) {
            try reader.close()
            if let promise = waiting {
                finish()
                promise.succeed(reader.answer)
            }
        } catch {
            fail("\(error)", on: context.channel)
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Proxmox closes without the farewell of TLS; whether the answer was whole is told by its length.
        if let fault = error as? NIOSSLError, case .uncleanShutdown = fault { return context.close(promise: nil) }
        ready?.fail(ExchangeFailure(stage: .connecting, why: "\(error)"))
        fail("the connection broke: \(error)", on: context.channel)
        context.close(promise: nil)
    }
}
