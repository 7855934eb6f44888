// Events as they happen, over server-sent events.

@testable import API
import AsyncHTTPClient
import Cluster
import Consensus
import NIOCore
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct EventStreamTests {
    /// Reads one stream; `more` says whether to go on after each line.
    private func lines(
        _ server: TestServer, after: UInt64, headers: [(String, String)] = [],
        more: @escaping @Sendable (String) async throws -> Bool
    ) async throws {
        let viewer = try server.lab.credential(role: .viewer)
        try await server.withHTTPClient(viewer) { client in
            var request = HTTPClientRequest(url: "https://127.0.0.1:\(server.port)/v1/events?after=\(after)")
            request.headers.add(name: "Accept", value: "text/event-stream")
            for (name, value) in headers { request.headers.add(name: name, value: value) }
            let response = try await client.execute(request, timeout: .seconds(60))
            #expect(response.headers.first(name: "content-type") == "text/event-stream; charset=utf-8")
            var rest = ""
            for try await part in response.body {
                rest += String(buffer: part)
                while let end = rest.firstIndex(of: "\n") {
                    let line = String(rest[..<end])
                    rest.removeSubrange(...end)
                    guard try await more(line) else { return }
                }
            }
        }
    }

    @Test func itBeginsAfterTheIdAndGoesOnWithWhatHappens() async throws {
        let lab = try Lab.make()
        let last = lab.agent.state.lastEventID
        try await lab.serving { server in
            let seen = Seen()
            try await lines(server, after: last - 1) { line in
                guard line.hasPrefix("data: ") else { return true }
                let event = try CanonicalJSON.decode(ClusterEvent.self, from: Array(line.utf8.dropFirst(6)))
                await seen.add(event.id)
                if event.id == last {
                    lab.agent.apply(.observeMember(lab.members[1], reachable: false, reason: "silent"))
                    return true
                }
                return false
            }
            #expect(await seen.ids == [last, last + 1])
        }
    }

    @Test func aReaderThatComesBackNamesTheLastEventItSaw() async throws {
        let lab = try Lab.make()
        let last = lab.agent.state.lastEventID
        try await lab.serving { server in
            let seen = Seen()
            try await lines(server, after: 0, headers: [("Last-Event-ID", "\(last - 1)")]) { line in
                guard line.hasPrefix("id: ") else { return true }
                await seen.add(UInt64(line.dropFirst(4)) ?? 0)
                return false
            }
            #expect(await seen.ids == [last])
        }
    }

    @Test func aStreamWithoutEventsShowsThatItLives() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.streamKeepAlive = .milliseconds(5)
        let last = lab.agent.state.lastEventID
        try await lab.serving(bounds: bounds) { server in
            let seen = Seen()
            try await lines(server, after: last) { line in
                guard line == ": here" else { return true }
                await seen.add(1)
                return await seen.ids.count < 3
            }
            #expect(await seen.ids.count == 3)
        }
    }

    @Test func stoppingTheServerEndsTheStreams() async throws {
        let lab = try Lab.make()
        let (ended, feed) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let (begun, beginning) = AsyncStream.makeStream(of: Void.self)
            let (servers, serverFeed) = AsyncStream.makeStream(of: TestServer.self)
            group.addTask {
                for await server in servers {
                    try await lines(server, after: 0) { _ in
                        beginning.yield()
                        return true
                    }
                    feed.yield()
                    return
                }
            }
            try await lab.serving { server in
                serverFeed.yield(server)
                for await _ in begun { break }
            }
            for await _ in ended { break }
            try await group.waitForAll()
        }
    }

    @Test func streamsBeyondTheLimitAreRefused() async throws {
        let lab = try Lab.make()
        var bounds = APIServer.Bounds()
        bounds.eventStreams = 0
        try await lab.serving(bounds: bounds) { server in
            let answer = try await server.ask(
                .GET, "/v1/events", as: lab.credential(role: .viewer), headers: [("Accept", "text/event-stream")])
            #expect(answer.status == 429)
        }
    }

    private actor Seen {
        var ids: [UInt64] = []
        func add(_ id: UInt64) { ids.append(id) }
    }
}
