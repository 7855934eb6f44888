// One request to one endpoint. It trusts the cluster's authority and nobody else, shows the person's certificate, and
// tells apart what certainly never arrived from what may have.

import API
import AsyncHTTPClient
import FoundationEssentials
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// A request as the client sees it, without where it goes.
struct APIRequest: Sendable {
    var method: HTTPMethod
    /// With its query, encoded.
    var path: String
    var headers: [(String, String)] = []
    var body: [UInt8]?
    /// It may be sent again after it may have been carried out: a read, or a change with a stamp.
    var isRepeatable: Bool
}

/// What came of one request to one endpoint.
enum Delivery: Sendable {
    case answered(status: Int, body: [UInt8])
    /// It certainly was not carried out.
    case notSent(String)
    /// It was not, and will not be: the other side does not accept who asks.
    case rejected(String)
    /// It may have been.
    case lost(String)
    /// It may have been; nothing was heard in the time there was.
    case late(Duration)
}

final class HTTPTransport: Sendable {
    /// Bytes of an answer; a larger one is an error.
    static let mostAnswerBytes = 64 * 1024 * 1024
    /// How long an endpoint may take to accept a connection before the next one is tried.
    static let connectLimit: Duration = .milliseconds(400)

    private let client: HTTPClient
    private let context: ClusterContext
    private let told = Mutex<String?>(nil)

    /// The authorities that the last answer named.
    var toldAuthorities: String? { told.withLock { $0 } }

    private let members = Mutex<[String]?>(nil)

    /// The members' endpoints that an answer named last; nil when none did, as long as the client knows them.
    var toldMembers: [String]? { members.withLock { $0 } }

    /// - Throws: `CommandFailure` when the context's certificates cannot be used.
    init(_ context: ClusterContext) throws {
        self.context = context
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv13
        // Any member may answer, at any address; that it belongs to the cluster is what its certificate proves.
        tls.certificateVerification = .noHostnameVerification
        do {
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(context.authority.utf8)))
            tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(context.certificate.utf8))
                .map { .certificate($0) }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(context.key.utf8), format: .pem))
        } catch {
            throw CommandFailure(
                ExitStatus.error, "the certificates of context \(context.name) cannot be used: \(error)",
                next: "holdfast context list")
        }
        // The command is over when its answer is there; it does not wait for the other side's farewell.
        tls.shutdownTimeout = .milliseconds(100)
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.timeout = .init(
            connect: .nanoseconds(Self.connectLimit.nanoseconds), read: .seconds(60))
        configuration.httpVersion = .http1Only
        configuration.redirectConfiguration = .disallow
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)
    }

    func shutdown() async {
        // Open connections end with the process anyway; a failure to close one politely concerns nobody.
        try? await client.shutdown().get()
    }

    func send(_ request: APIRequest, to endpoint: String, within limit: Duration) async -> Delivery {
        do {
            return try await withDeadline(limit, orThrow: DeliveryLate()) {
                let response = try await self.execute(request, endpoint)
                let body = try await response.body.collect(upTo: Self.mostAnswerBytes)
                return Delivery.answered(status: Int(response.status.code), body: Array(buffer: body))
            }
        } catch is DeliveryLate {
            return .late(limit)
        } catch {
            return failed(error)
        }
    }

    /// Opens a stream and hands its lines on until it ends.
    /// - Returns: why it ended; nil when `line` wanted no more.
    func stream(
        _ request: APIRequest, from endpoint: String, line: (String) async throws -> Bool
    ) async throws -> Delivery? {
        do {
            let response = try await execute(request, endpoint)
            guard response.status == .ok else {
                let body = try await response.body.collect(upTo: Self.mostAnswerBytes)
                return .answered(status: Int(response.status.code), body: Array(buffer: body))
            }
            var rest: [UInt8] = []
            for try await part in response.body {
                rest += part.readableBytesView
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    guard try await line(String(decoding: rest[..<end], as: UTF8.self)) else { return nil }
                    rest.removeSubrange(...end)
                }
            }
            return .lost("the stream ended")
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            return failed(error)
        }
    }

    private func execute(_ request: APIRequest, _ endpoint: String) async throws -> HTTPClientResponse {
        var message = HTTPClientRequest(url: "https://\(endpoint)\(request.path)")
        message.method = request.method
        for (name, value) in request.headers { message.headers.add(name: name, value: value) }
        if let body = request.body {
            message.headers.add(name: "Content-Type", value: "application/json")
            message.body = .bytes(body)
        }
        // The caller's deadline covers the whole exchange; this one only has to be later.
        let response = try await client.execute(message, deadline: .distantFuture)
        if let names = response.headers.first(name: AuthorityNames.header) { told.withLock { $0 = names } }
        if let names = response.headers.first(name: MemberEndpoints.header) {
            members.withLock { $0 = MemberEndpoints.read(names) }
        }
        return response
    }

    // MARK: What went wrong

    private struct DeliveryLate: Error {}

    private func failed(_ error: any Error) -> Delivery {
        switch error {
        case let error as HTTPClientError where error == .connectTimeout:
            .notSent("no connection within \(Self.connectLimit.milliseconds) ms")
        case let error as HTTPClientError where error == .tlsHandshakeTimeout:
            .notSent("no TLS handshake within \(Self.connectLimit.milliseconds) ms")
        case let error as HTTPClientError where error == .invalidURL || error == .emptyHost:
            .notSent("not an address:port")
        case let error as HTTPClientError: .lost(error.shortDescription)
        case let error as NIOConnectionError: .notSent(Self.words(for: error))
        case let error as IOError where error.errnoCode == ECONNREFUSED: .notSent("connection refused")
        case is NIOSSLError, is BoringSSLError: refused("\(error)")
        default: .lost("\(error)")
        }
    }

    /// What a failed TLS handshake means; for the other side's alerts, what it thinks of this side. In TLS 1.3 it comes when this side's handshake is over already.
    private func refused(_ detail: String) -> Delivery {
        if detail.contains("CERTIFICATE_VERIFY_FAILED") {
            return .notSent("its certificate was not signed by this cluster's authority")
        }
        let unknown =
            ContextAuthorities.fault(of: context, now: Terminal.current.clock.now())
            ?? "it does not accept this context's certificate, whose authority may not be trusted any more"
        let meanings = [
            (
                "ALERT_CERTIFICATE_EXPIRED",
                "it says that this context's certificate has expired, or is not valid yet; is its clock right?"
            ),
            ("ALERT_UNKNOWN_CA", "this context's certificate was not signed by its cluster's authority"),
            ("ALERT_CERTIFICATE_UNKNOWN", unknown),
            ("ALERT_BAD_CERTIFICATE", "it does not accept this context's certificate"),
            ("ALERT_CERTIFICATE_REVOKED", "it does not accept this context's certificate any more"),
        ]
        return meanings.first { detail.contains($0.0) }.map { .rejected($0.1) }
            ?? .notSent("the TLS handshake failed: \(detail)")
    }

    private static func words(for error: NIOConnectionError) -> String {
        if let reason = error.connectionErrors.first?.error as? IOError {
            return reason.errnoCode == ECONNREFUSED ? "connection refused" : String(cString: strerror(reason.errnoCode))
        }
        if error.dnsAError != nil || error.dnsAAAAError != nil { return "the name \(error.host) is unknown" }
        return "no connection"
    }

}

extension Duration {
    var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
    var milliseconds: Int64 { nanoseconds / 1_000_000 }
}
