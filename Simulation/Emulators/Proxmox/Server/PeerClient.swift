// The way to the other hosts: their words, and requests that are theirs to answer. One client per host process; every
// exchange has a deadline. Certificates are not checked here: the hosts of an emulated cluster trust each other by
// address, as nothing of worth passes between them.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL

/// Where a host of the cluster answers.
public struct PeerAddress: Hashable, Sendable {
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// "10.77.0.11:8006"
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), port > 0 else {
            return nil
        }
        self.init(host: String(text[..<colon]), port: port)
    }
}

/// A letter from host to host.
struct PeerLetter: Codable {
    var from: String
    var messages: [PeerMessage]
}

/// Talks to the other hosts.
final class PeerClient: Sendable {
    static let path = "/emulator/peer"
    static let reasonHeader = "X-Emulator-Reason"
    static let forwardedHeader = "X-Emulator-Forwarded"
    /// The longest answer that is passed on, in bytes.
    private static let mostBody = 8 << 20

    private let client: HTTPClient

    init() {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.certificateVerification = .none
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.timeout.connect = .seconds(30)
        configuration.redirectConfiguration = .disallow
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    func close() async throws { try await client.shutdown() }

    /// Sends words; a letter that does not arrive in time is lost.
    func send(_ messages: [PeerMessage], from name: String, to peer: PeerAddress, within limit: TimeAmount) async
        -> Bool
    {
        guard let body = try? JSONEncoder().encode(PeerLetter(from: name, messages: messages)) else { return false }
        var request = HTTPClientRequest(url: "https://\(peer.host):\(peer.port)\(Self.path)")
        request.method = .POST
        request.body = .bytes(body)
        guard let response = try? await client.execute(request, timeout: limit) else { return false }
        return response.status == .ok
    }

    /// Posts a text.
    /// - Returns: the answer's body; nil when there is none in time.
    func post(_ text: String, to peer: PeerAddress, path: String, within limit: TimeAmount) async -> String? {
        var request = HTTPClientRequest(url: "https://\(peer.host):\(peer.port)\(path)")
        request.method = .POST
        request.body = .bytes(ByteBuffer(string: text))
        guard let response = try? await client.execute(request, timeout: limit), response.status == .ok,
            let body = try? await response.body.collect(upTo: 65_536)
        else { return nil }
        return String(buffer: body)
    }

    /// Has another host answer a request, as pveproxy does.
    func forward(_ wire: WireRequest, to peer: PeerAddress) async -> WireResponse {
        var request = HTTPClientRequest(url: "https://\(peer.host):\(peer.port)\(wire.target)")
        request.method = HTTPMethod(rawValue: wire.method)
        for name in ["Authorization", "Cookie", "CSRFPreventionToken", "Content-Type"] {
            for value in wire.headers[name] { request.headers.add(name: name, value: value) }
        }
        request.headers.add(name: Self.forwardedHeader, value: "1")
        if !wire.body.isEmpty { request.body = .bytes(wire.body) }
        do {
            let response = try await client.execute(request, timeout: .seconds(60))
            let body = try await response.body.collect(upTo: Self.mostBody)
            return WireResponse(
                status: Int(response.status.code),
                reason: response.headers.first(name: Self.reasonHeader) ?? response.status.reasonPhrase,
                headers: response.headers["Content-Type"].map { ("Content-Type", $0) },
                body: Array(body.readableBytesView))
        } catch {
            return WireResponse(status: 595, reason: Self.reason(error))
        }
    }

    /// AnyEvent::HTTP's words for a connection that does not come about.
    private static func reason(_ error: any Error) -> String {
        let text = String(describing: error)
        if text.contains("refused") { return "Connection refused" }
        if text.contains("No route") || text.contains("unreachable") { return "No route to host" }
        return "Connection timed out"
    }
}
