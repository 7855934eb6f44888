// Health checks against servers and programs on this machine.

import Cluster
import Consensus
import Kinds
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@testable import Drivers

@Suite struct HealthJudgeTests {
    private func judge(failures: Int, successes: Int) -> HealthJudge {
        HealthJudge(
            HealthCheck(
                probe: .exec(command: []), every: .zero, timeout: .zero, failures: failures, successes: successes))
    }

    @Test func theFirstResultCountsAtOnce() {
        var well = judge(failures: 3, successes: 3)
        #expect(well.note(success: true) && well.isHealthy == true)
        var ill = judge(failures: 3, successes: 3)
        #expect(ill.note(success: false) && ill.isHealthy == false)
    }

    @Test func aVerdictChangesAfterTheDeclaredNumberInARow() {
        var judge = judge(failures: 3, successes: 2)
        let results = [true, false, false, true, false, false, false, true, false, true, true]
        let changes = results.map { judge.note(success: $0) }
        #expect(changes == [true, false, false, false, false, false, true, false, false, false, true])
        #expect(judge.isHealthy == true)
    }
}

@Suite struct HealthProbeTests {
    private func attempt(_ probe: HealthCheck.Probe, timeout: Interval = .seconds(20)) async throws -> ProbeResult {
        let prober = HealthProber()
        let result = await prober.attempt(
            HealthCheck(probe: probe, every: .seconds(1), timeout: timeout, failures: 1, successes: 1))
        try await prober.shutDown()
        return result
    }

    @Test func aPortThatAcceptsIsHealthyAndAClosedOneIsNot() async throws {
        let server = try await TestServer.start(answering: .ok)
        let open = try await attempt(.tcp(host: "127.0.0.1", port: server.port))
        #expect(open.isSuccess)
        try await server.close()
        // Nobody listens on the port for tcpmux at this address, which is nobody's.
        let closed = try await attempt(.tcp(host: "127.0.0.77", port: 1))
        #expect(!closed.isSuccess)
        let senseless = try await attempt(.tcp(host: "127.0.0.1", port: 70_000))
        #expect(senseless.detail.contains("no such port"))
    }

    @Test(arguments: [(HTTPResponseStatus.ok, true), (.found, true), (.notFound, false), (.internalServerError, false)])
    func anAnswerBelow400IsHealthy(_ status: HTTPResponseStatus, isHealthy: Bool) async throws {
        let server = try await TestServer.start(answering: status)
        let result = try await attempt(.http(url: "http://127.0.0.1:\(server.port)/health"))
        #expect(result.isSuccess == isHealthy)
        #expect(result.detail.contains("\(status.code)"))
        try await server.close()
    }

    @Test func aServerThatNeverAnswersIsGivenUpInTime() async throws {
        let server = try await TestServer.start(answering: nil)
        let result = try await attempt(.http(url: "http://127.0.0.1:\(server.port)/"), timeout: .milliseconds(200))
        #expect(!result.isSuccess)
        try await server.close()
    }

    @Test func aSenselessURLIsUnhealthy() async throws {
        #expect(try await attempt(.http(url: "no url at all")).isSuccess == false)
    }

    @Test func theStatusOfAProgramDecides() async throws {
        #expect(try await attempt(.exec(command: ["true"])).isSuccess)
        #expect(try await attempt(.exec(command: ["/bin/sh", "-c", "exit 3"])).detail == "/bin/sh: status 3")
        #expect(try await attempt(.exec(command: ["/no/such/program"])).isSuccess == false)
        #expect(try await attempt(.exec(command: [])).detail == "no command is given")
    }

    @Test func aProgramThatHangsIsEnded() async throws {
        let result = try await attempt(.exec(command: ["sleep", "1000"]), timeout: .milliseconds(200))
        #expect(!result.isSuccess)
    }
}

@Suite struct HealthCheckRunnerTests {
    private let role = ResourceKey(kind: "VirtualIP", name: "a")

    private func check(_ probe: HealthCheck.Probe, failures: Int = 2) -> HealthCheck {
        HealthCheck(probe: probe, every: .milliseconds(100), timeout: .seconds(10), failures: failures, successes: 1)
    }

    @Test func itReportsChangesOfTheGivenChecksOnly() async throws {
        let server = try await TestServer.start(answering: .ok, on: "127.0.0.2")
        let (reports, receive) = AsyncStream<RoleReport>.makeStream(bufferingPolicy: .bufferingNewest(100))
        let runner = HealthCheckRunner(log: TestNetwork.quiet) { receive.yield($0) }
        let serving = Task { await runner.serve() }
        var iterator = reports.makeAsyncIterator()
        let probe = HealthCheck.Probe.tcp(host: "127.0.0.2", port: server.port)

        runner.run([role: check(probe)])
        guard case .health(role, true, _) = await iterator.next() else { throw TestFailure(what: "not healthy") }
        try await server.close()
        guard case .health(role, false, _) = await iterator.next() else { throw TestFailure(what: "not unhealthy") }

        // Unchanged beside a new one: it goes on without a first result; changed: it starts anew.
        let other = ResourceKey(kind: "VirtualIP", name: "b")
        runner.run([role: check(probe), other: check(.exec(command: ["true"]))])
        guard case .health(other, true, _) = await iterator.next() else { throw TestFailure(what: "no second check") }
        runner.run([role: check(probe, failures: 5)])
        guard case .health(role, false, _) = await iterator.next() else { throw TestFailure(what: "not started anew") }

        serving.cancel()
        await serving.value
    }

    /// Whoever is asked for the agent is away: that says nothing of the guest.
    @Test func whatCouldNotBeAskedCountsForNothing() async throws {
        let well = AgentAnswer.result(ProbeResult(isSuccess: true, detail: "it answers"))
        let ill = AgentAnswer.result(ProbeResult(isSuccess: false, detail: "it does not run"))
        let away = AgentAnswer.unasked("no connection")
        let answers = Mutex([away, well, away, away, well, away, ill])
        let (reports, receive) = AsyncStream<RoleReport>.makeStream(bufferingPolicy: .bufferingNewest(100))
        let runner = HealthCheckRunner(log: TestNetwork.quiet) { receive.yield($0) }
        let serving = Task {
            await runner.serve(askAgent: { _, _ in answers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] } })
        }
        var iterator = reports.makeAsyncIterator()
        runner.run([role: check(.agent, failures: 1)])
        #expect(await iterator.next() == .health(role: role, healthy: true, detail: "it answers"))
        #expect(await iterator.next() == .health(role: role, healthy: false, detail: "it does not run"))
        serving.cancel()
        await serving.value
    }
}

/// An HTTP server on the loopback that gives every request the same answer, or none.
struct TestServer {
    private let channel: any Channel
    var port: Int { channel.localAddress?.port ?? 0 }

    /// A test that closes its server gives it a host of its own (127.0.0.0/8), so that no other server gets the same port
    /// at the same address afterwards.
    static func start(answering status: HTTPResponseStatus?, on host: String = "127.0.0.1") async throws -> TestServer {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Answer(status: status))
                }
            }
            .bind(host: host, port: 0).get()
        return TestServer(channel: channel)
    }

    func close() async throws { try await channel.close() }

    private final class Answer: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private let status: HTTPResponseStatus?

        init(status: HTTPResponseStatus?) { self.status = status }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .end = unwrapInboundIn(data), let status else { return }
            let head = HTTPResponseHead(version: .http1_1, status: status, headers: ["Content-Length": "0"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}
