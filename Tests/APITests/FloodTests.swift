// More than anybody asks for: thousands of requests at once, and connections that say nothing.

@testable import API
import AsyncHTTPClient
import Cluster
import Consensus
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Testing

@testable import Runtime

@Suite(.serialized, .timeLimit(.minutes(2))) struct FloodTests {
    /// All of them are let in over kept connections while nothing is answered: as many as may be are in work, every other
    /// one is told at once to come again.
    @Test func thousandsOfRequestsAtOnceAreShedWithWordsAndWithoutGrowth() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.requestsInWork = 16
        try await lab.serving(bounds: bounds) { server in
            let viewer = try lab.credential(role: .viewer)
            lab.agent.set(.holding)
            try await server.withHTTPClient(viewer, connections: 216) { client in
                func ask() async throws -> (status: UInt, retryAfter: String?, words: String) {
                    var request = HTTPClientRequest(url: "https://127.0.0.1:\(server.port)/v1/status")
                    request.headers.add(name: "Holdfast-Timeout", value: "60000")
                    let response = try await client.execute(request, timeout: .seconds(100))
                    let body = try await response.body.collect(upTo: 1 << 20)
                    return (response.status.code, response.headers.first(name: "Retry-After"), String(buffer: body))
                }
                try await withThrowingTaskGroup(of: UInt.self) { held in
                    for _ in 0..<16 { held.addTask { try await ask().status } }
                    await lab.agent.untilHolding(16)
                    // What the first few cost (buffers, connections) is no growth.
                    for _ in 0..<200 { _ = try await ask() }
                    let before = try #require(ProcessFigures.residentBytes)
                    var shed = 0
                    for _ in 0..<16 {
                        try await withThrowingTaskGroup(of: Bool.self) { wave in
                            for _ in 0..<200 {
                                wave.addTask {
                                    let answer = try await ask()
                                    return answer.status == 429 && answer.retryAfter == "1"
                                        && answer.words.contains("as many as it takes")
                                }
                            }
                            for try await isShed in wave where isShed { shed += 1 }
                        }
                    }
                    #expect(shed == 3_200)
                    let growth = try #require(ProcessFigures.residentBytes) - before
                    #expect(growth < 64 * 1_048_576, "grew by \(growth) bytes")
                    lab.agent.set(.serving)
                    for try await status in held { #expect(status == 200) }
                }
            }
        }
    }

    private func connection(to port: Int, saying bytes: [UInt8]) async throws {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port).get()
        if !bytes.isEmpty { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }
        // The other side closes; the test's time limit is all that bounds this.
        try await channel.closeFuture.get()
    }

    /// Nothing at all, and the beginning of a TLS handshake that goes no further.
    @Test(arguments: [[], [0x16, 0x03, 0x01, 0x02, 0x00]] as [[UInt8]])
    func aConnectionThatFallsSilentIsClosed(_ bytes: [UInt8]) async throws {
        var bounds = APIServer.Bounds()
        bounds.silence = .milliseconds(200)
        try await Lab.make().serving(bounds: bounds) { server in
            try await connection(to: server.port, saying: bytes)
        }
    }

    /// A handshake, and the head of a request behind one, of which a byte comes now and then.
    @Test(arguments: [false, true]) func bytesThatTrickleKeepNoConnectionOpen(_ isBehindHandshake: Bool) async throws {
        var bounds = APIServer.Bounds()
        bounds.silence = .milliseconds(300)
        try await Lab.make().serving(bounds: bounds) { server in
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.certificateVerification = .none
            let context = try NIOSSLContext(configuration: configuration)
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard isBehindHandshake else { return }
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: nil))
                    }
                }
                .connect(host: "127.0.0.1", port: server.port).get()
            // Of a handshake that says it is 512 bytes long, and of a request line that never ends.
            let start: [UInt8] = isBehindHandshake ? Array("GET /".utf8) : [0x16, 0x03, 0x01, 0x02, 0x00, 0x01]
            channel.writeAndFlush(ByteBuffer(bytes: start), promise: nil)
            let trickle = channel.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(20)) { _ in
                channel.writeAndFlush(ByteBuffer(bytes: isBehindHandshake ? [0x78] : [0]), promise: nil)
            }
            defer { trickle.cancel() }
            try await channel.closeFuture.get()
        }
    }

    private func stranger(from address: String, to port: Int) async throws -> any Channel {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(to: SocketAddress(ipAddress: address, port: 0)).connect(host: "127.0.0.1", port: port).get()
    }

    /// One machine has as many connections open as strangers may: it is in its own way, and in nobody else's.
    @Test func aMachineThatOpensAllTheConnectionsThereAreLosesTheOldestToOthers() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.strangers = 4
        try await lab.serving(bounds: bounds) { server in
            let (closings, closing) = AsyncStream.makeStream(of: Int.self)
            var channels: [any Channel] = []
            // One more than may be: whichever comes last is closed, and shows that the others are counted.
            for number in 0..<5 {
                let channel = try await stranger(from: "127.0.0.2", to: server.port)
                channel.closeFuture.whenComplete { _ in closing.yield(number) }
                channels.append(channel)
            }
            var closed = closings.makeAsyncIterator()
            let refused = try #require(await closed.next())
            let viewer = try lab.credential(role: .viewer)
            #expect(try await server.ask(.GET, "/v1/status", as: viewer).status == 200)
            let madeRoom = try #require(await closed.next())
            #expect(refused != madeRoom)
            #expect(channels.count(where: \.isActive) == 3)
            for channel in channels where channel.isActive { try await channel.close() }
        }
    }

    /// Whoever has shown a certificate is no stranger.
    @Test func thoseWithACertificateAreAsManyAsMayConnect() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.strangers = 1
        try await lab.serving(bounds: bounds) { server in
            let viewer = try lab.credential(role: .viewer)
            lab.agent.set(.holding)
            try await withThrowingTaskGroup(of: Int.self) { held in
                for count in 1...5 {
                    held.addTask { try await server.ask(.GET, "/v1/status", as: viewer).status }
                    await lab.agent.untilHolding(count)
                }
                lab.agent.set(.serving)
                for try await status in held { #expect(status == 200) }
            }
        }
    }

    @Test func anAnswerThatTakesLongerThanTheSilenceIsWaitedFor() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        // The handshake of the one that waits has to be over before that.
        bounds.silence = .seconds(2)
        try await lab.serving(bounds: bounds) { server in
            let viewer = try lab.credential(role: .viewer)
            lab.agent.set(.holding)
            async let answer = server.ask(.GET, "/v1/status", as: viewer)
            await lab.agent.untilHolding(1)
            // Meanwhile a silent connection has come and gone.
            try await connection(to: server.port, saying: [])
            lab.agent.set(.serving)
            #expect(try await answer.status == 200)
        }
    }
}
