// More than anybody asks for: thousands of requests at once, and connections that say nothing.

@testable import API
import AsyncHTTPClient
import Cluster
import Consensus
import Foundation
import NIOCore
import NIOPosix
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

    @Test func anAnswerThatTakesLongerThanTheSilenceIsWaitedFor() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.silence = .milliseconds(100)
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
