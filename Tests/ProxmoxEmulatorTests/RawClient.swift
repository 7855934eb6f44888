// An HTTPS client that keeps what libraries throw away: the reason phrase, and how an answer broke off. It sends one
// request per connection and trusts anybody.

import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

@testable import ProxmoxEmulator

/// What came back over the wire.
struct RawAnswer {
    var status: Int?
    var reason = ""
    var body = ""
    /// The length the head announced.
    var announced: Int?
    /// DER of the certificate that was shown.
    var certificate: [UInt8] = []

    var data: JSON? { (try? JSON(text: body))?["data"] }
}

enum RawClient {
    static func ask(
        _ port: Int, _ method: String, _ path: String, token: String? = "ops@pve!agent=secret", body: String = ""
    ) async throws -> RawAnswer {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.certificateVerification = .noHostnameVerification
        let context = try NIOSSLContext(configuration: tls)
        let shown = Mutex<[UInt8]>([])
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = try NIOSSLClientHandler(
                        context: context, serverHostname: nil,
                        customVerificationCallback: { certificates, promise in
                            let bytes = (try? certificates.first?.toDERBytes()) ?? []
                            shown.withLock { $0 = bytes }
                            promise.succeed(.certificateVerified)
                        })
                    try channel.pipeline.syncOperations.addHandler(handler)
                    return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        var head = "\(method) /api2/json\(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        if let token { head += "Authorization: PVEAPIToken=\(token)\r\n" }
        head += "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        let request = head
        let text = try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: request))
            var bytes: [UInt8] = []
            do { for try await part in inbound { bytes += Array(part.readableBytesView) } } catch is NIOSSLError {
                // An answer that is cut off ends without TLS's farewell.
            }
            return String(decoding: bytes, as: UTF8.self)
        }
        return answer(text, shown.withLock { $0 })
    }

    private static func answer(_ text: String, _ certificate: [UInt8]) -> RawAnswer {
        var answer = RawAnswer(certificate: certificate)
        guard let end = text.range(of: "\r\n\r\n") else { return answer }
        let lines = text[..<end.lowerBound].components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        answer.status = words.count > 1 ? Int(words[1]) : nil
        answer.reason = words.count > 2 ? String(words[2]) : ""
        answer.body = String(text[end.upperBound...])
        for line in lines where line.lowercased().hasPrefix("content-length: ") {
            answer.announced = Int(line.dropFirst("content-length: ".count))
        }
        return answer
    }
}
