// One client that runs wild is held up, and nobody else.

@testable import API
import Consensus
import Testing

@Suite struct RateLimitTests {
    private func ask(_ limit: RateLimit, _ client: String, times: Int, at milliseconds: Int64) -> Int {
        var passed = 0
        for _ in 0..<times {
            if (try? limit.count(client, called: client, now: Instant(nanoseconds: milliseconds * 1_000_000))) != nil {
                passed += 1
            }
        }
        return passed
    }

    @Test func aClientMayAskTwiceAsMuchInOneGoAndThenItsShare() {
        let limit = RateLimit(perSecond: 10)
        #expect(ask(limit, "a", times: 100, at: 0) == 20)
        #expect(ask(limit, "a", times: 100, at: 500) == 5)
        #expect(ask(limit, "a", times: 100, at: 1_500) == 10)
        #expect(ask(limit, "a", times: 100, at: 100_000) == 20)
    }

    @Test func othersAreNotHeldUp() {
        let limit = RateLimit(perSecond: 10)
        _ = ask(limit, "a", times: 100, at: 0)
        #expect(ask(limit, "b", times: 20, at: 0) == 20)
    }

    @Test func noMoreClientsAreRememberedThanMayBe() {
        let limit = RateLimit(perSecond: 1)
        for number in 0..<RateLimit.mostClients * 2 { _ = ask(limit, "\(number)", times: 2, at: Int64(number)) }
        // The newest are still held up, the oldest forgotten.
        #expect(ask(limit, "\(RateLimit.mostClients * 2 - 1)", times: 1, at: 2_048) == 0)
        #expect(ask(limit, "0", times: 1, at: 2_048) == 1)
    }

    @Test func theRefusalSaysWhoAndHowOften() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.requestsPerSecond = 2
        try await lab.serving(bounds: bounds) { server in
            let wild = try lab.credential("wild", role: .viewer)
            let calm = try lab.credential("calm", role: .viewer)
            var answers: [TestServer.Answer] = []
            for _ in 0..<40 { answers.append(try await server.ask(.GET, "/v1/status", as: wild)) }
            let refused = try #require(answers.first { $0.status == 429 })
            #expect(refused.headers["retry-after"] == "1")
            #expect(refused.failure?.message.hasPrefix("wild asks more than 2 times a second") == true)
            #expect(try await server.ask(.GET, "/v1/status", as: calm).status == 200)
            // Values are data and have a limit of their own.
            #expect(try await server.ask(.GET, "/v1/kv", as: wild).status == 200)
        }
    }
}
