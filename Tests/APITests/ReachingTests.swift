// Finding a member that answers, and what the person is told when none does.

@testable import API
import Cluster
import Consensus
import NIOCore
import NIOPosix
import Testing

@testable import holdfast

@Suite(.serialized, .timeLimit(.minutes(1))) struct ReachingTests {
    /// Nobody listens on the port for tcpmux; one that was free a moment ago may be another test's by now.
    private let closed = 1

    @Test func aRefusedEndpointIsPassedOver() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let person = try Person.make(
                server, as: lab.credential(role: .operator),
                endpoints: ["127.0.0.1:\(closed)", "127.0.0.1:\(server.port)"])
            defer { person.forget() }
            #expect(await person.run("kv", "put", "a", "1").status == 0)
            #expect(
                await person.run("status", "--endpoints", "127.0.0.1:\(closed),127.0.0.1:\(server.port)").status == 0)
        }
    }

    /// A context is written for the founder. What another member has said of the members is known when that one is gone.
    @Test func aContextReachesMembersThatItWasNotWrittenFor() async throws {
        let lab = try Lab.make()
        try await lab.serving { other in
            for (id, port) in zip(lab.members, [closed, other.port]) {
                var record = try #require(lab.agent.state.members[id])
                record.apiEndpoint = "127.0.0.1:\(port)"
                lab.agent.apply(.announce(member: record))
            }
            let person = try await lab.serving { founder in
                let person = try Person.make(founder, as: lab.credential(role: .operator))
                #expect(await person.run("status").status == 0)
                #expect(await person.run("context").output.contains("127.0.0.1:\(closed),127.0.0.1:\(other.port)"))
                return person
            }
            defer { person.forget() }
            #expect(await person.run("kv", "put", "a", "1", "--timeout", "20s").status == 0)
            #expect(lab.agent.state.values["a"]?.value == "1")
            let narrowed = await person.run(
                "status", "--timeout", "1s", "--endpoints", "127.0.0.1:\(closed)", leastLimit: "1s")
            #expect(narrowed.status == 5, "who names endpoints means these and no others")
        }
    }

    @Test func whatWasNotedOfTheMembersIsNoUseToAnotherCluster() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let person = try Person.make(server, as: lab.credential(role: .viewer))
            defer { person.forget() }
            #expect(await person.run("status").status == 0)
            var file = try ContextFile.load(path: person.configuration) { _ in }
            file.contexts[0].endpoints = ["127.0.0.1:\(closed)"]
            try file.save(path: person.configuration)
            #expect(await person.run("status", "--timeout", "1s", leastLimit: "1s").status == 5)
            _ = try person.write("not JSON", to: "config.yaml.members")
            #expect(await person.run("context").status == 0)
        }
    }

    @Test func withNobodyThereTheExitCodeIsFive() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let person = try Person.make(server, as: lab.credential(role: .viewer), endpoints: ["127.0.0.1:\(closed)"])
            defer { person.forget() }
            #expect(await person.run("status", "--timeout", "2s").status == 5)
        }
    }

    @Test func withoutQuorumTheExitCodeIsFiveAndALocalAnswerStillComes() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let person = try Person.make(server, as: lab.credential(role: .operator))
            defer { person.forget() }
            lab.agent.set(.noQuorum)
            #expect(await person.run("status", "--timeout", "2s").status == 5)
            let local = await person.run("status", "--consistency", "local")
            #expect(local.status == 0)
            #expect(local.output.contains("As pve1 has it: revision 12"))
        }
    }

    @Test(arguments: [
        ["vip", "move", "kube-api", "pve2"], ["cluster", "transfer-leader", "pve2"],
        ["apply", "-f", "-", "--wait"], ["delete", "vip/kube-api", "--yes", "--wait"],
    ])
    func commandsThatMayTakeTheirTimeLearnAsFastThatThereIsNoQuorum(arguments: [String]) async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let person = try Person.make(server, as: lab.credential(role: .admin))
            defer { person.forget() }
            lab.agent.set(.noQuorum)
            let manifest = "apiVersion: holdfast/v1\nkind: Host\nmetadata: {name: pve1}\nspec: {address: 10.0.0.1}\n"
            let result = await person.run(arguments, input: manifest, leastLimit: "1ms")
            #expect(result.status == 5)
            // On a machine that is busy with other things not even the first answer may come in that time.
            #expect(result.notes.contains(" within 1800 ms"), "\(result.notes)")
        }
    }

    @Test func withoutAQuorumNothingIsSaidToBeDispensable() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let person = try Person.make(server, as: lab.credential(role: .viewer))
            defer { person.forget() }
            lab.agent.change {
                $0.view.role = .follower
                $0.view.leader = nil
                $0.view.hasQuorumLease = false
            }
            let local = await person.run("status", "--consistency", "local")
            #expect(local.output.hasPrefix("You can lose: pve1 NO (pve1 sees no quorum now)"))
        }
    }

    @Test(arguments: ["127.0.0.1:99999", "127.0.0.1:0", "pve1", ":7443", "127.0.0.1:74x3", "https://pve1:7443"])
    func whatIsNoEndpointIsNamedBeforeAnythingIsSent(endpoint: String) async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let person = try Person.make(server, as: lab.credential(role: .viewer))
            defer { person.forget() }
            let result = await person.run("status", "--endpoints", "127.0.0.1:\(server.port),\(endpoint)")
            #expect(result.status == 2)
            #expect(result.notes.hasPrefix("holdfast: \(endpoint.debugDescription) is no address:port"))
        }
    }

    @Test func whoNobodyAcceptsIsToldSoAtOnce() async throws {
        let lab = try Lab.make()
        let stranger = try Lab.make()
        try await lab.serving { server in
            let person = try Person.make(server, as: stranger.credential(role: .admin))
            defer { person.forget() }
            let result = await person.run("status")
            #expect(result.status == 6)
            #expect(
                result.notes == """
                    holdfast: no member accepts the certificate of this context
                      127.0.0.1:\(server.port): this context's certificate was not signed by its cluster's authority
                      try: holdfast context use NAME for another context, or copy the file of another admin

                    """)
        }
    }

    @Test func aChangeWhoseAnswerWasLostCountsOnceAtTheNextMember() async throws {
        let lab = try Lab.make()
        try await lab.serving { server in
            let breaking = try await Breaker.listen(before: server.port) { lab.agent.state.values.contains("a") }
            let credential = try lab.credential(role: .operator)
            let client = try HoldfastClient(
                ClusterContext(
                    name: "home", endpoints: ["127.0.0.1:\(breaking.port)", "127.0.0.1:\(server.port)"],
                    authority: try lab.authorityPEM, certificate: credential.certificate, key: credential.key))
            let outcome = try await client.put("1", at: "a", expecting: .absent, within: .seconds(50))
            await client.shutdown()
            try await breaking.close()
            #expect(outcome.changed)
            #expect(lab.agent.state.values["a"]?.value == "1")
            #expect(lab.agent.state.revision == outcome.revision)
        }
    }

    @Test func anEndpointOfAnotherClusterIsNotTrusted() async throws {
        let lab = try Lab.make()
        let stranger = try Lab.make()
        try await stranger.serving { foreign in
            try await lab.serving { server in
                let person = try Person.make(
                    server, as: lab.credential(role: .viewer), endpoints: ["127.0.0.1:\(foreign.port)"])
                defer { person.forget() }
                #expect(await person.run("status", "--timeout", "2s").status == 5)
            }
        }
    }
}

/// The words for what was tried.
@Suite struct ResponsesTests {
    private func failure(_ code: FailureCode, _ message: String) throws -> Delivery {
        let body = FailureBody(error: APIFailure(code, message, next: "look"))
        return .answered(status: code.httpStatus, body: try CanonicalJSON.encode(body))
    }

    @Test func everyEndpointIsNamedWithWhatItSaid() throws {
        var said = Responses(["a:1", "b:2", "c:3"])
        _ = said.judge(.notSent("connection refused"), from: "a:1", repeatable: true)
        _ = said.judge(.late(.milliseconds(500)), from: "b:2", repeatable: true)
        #expect(
            said.failure(.seconds(2)).text == """
                holdfast: no member could be reached within 2000 ms
                  a:1: connection refused
                  b:2: no answer within 500 ms
                  c:3: not asked; the time was up
                  try: systemctl status holdfast on a member, or give other --endpoints
                """)
        #expect(said.failure(.seconds(2)).exitCode == 5)
    }

    @Test func silenceAtTheEndDoesNotHideWhatWasSaidBefore() throws {
        var said = Responses(["a:1"])
        _ = said.judge(try failure(.noQuorum, "2 of 3 voters are silent"), from: "a:1", repeatable: true)
        _ = said.judge(.late(.milliseconds(60)), from: "a:1", repeatable: true)
        #expect(
            said.failure(.seconds(2)).text == """
                holdfast: no member answered with a quorum within 2000 ms
                  a:1: 2 of 3 voters are silent
                  try: holdfast status --consistency local shows what a member knows without a quorum
                """)
    }

    @Test func everyCodeHasItsExitCode() throws {
        let expected: [FailureCode: Int32] = [
            .badRequest: 2, .invalid: 2, .unauthenticated: 6, .forbidden: 6, .notFound: 3, .conflict: 4, .refused: 2,
            .unsafe: 8, .expired: 2, .tooLarge: 2, .internal: 2,
        ]
        for (code, exitCode) in expected {
            var said = Responses(["a:1"])
            guard case .final(let end) = said.judge(try failure(code, "no"), from: "a:1", repeatable: true) else {
                Issue.record("\(code) does not end the search")
                continue
            }
            #expect(end.exitCode == exitCode, "\(code)")
        }
    }

    @Test func whatWasBegunAndNotSeenToEndTimesOut() throws {
        var said = Responses(["a:1"])
        guard case .tryNext = said.judge(try failure(.timedOut, "not yet"), from: "a:1", repeatable: true) else {
            Issue.record("a repeatable request is not sent again")
            return
        }
        #expect(said.failure(.seconds(2)).exitCode == 7)
    }

    @Test func whatMayNotBeRepeatedEndsWithTheDoubtInWords() throws {
        for delivery in [Delivery.lost("connection closed"), .late(.milliseconds(500))] {
            var said = Responses(["a:1"])
            guard case .final(let end) = said.judge(delivery, from: "a:1", repeatable: false) else {
                Issue.record("it would be sent again")
                continue
            }
            #expect(end.message.contains("whether it was carried out is not known"))
        }
    }

    @Test func anAnswerThatIsNoHoldfastsIsSaidToBeSo() {
        var said = Responses(["a:1"])
        guard
            case .final(let end) = said.judge(
                .answered(status: 502, body: Array("<html>".utf8)), from: "a:1", repeatable: true)
        else {
            Issue.record("it would be sent again")
            return
        }
        #expect(end.message == "a:1 answered with status 502 and no reason")
    }
}

/// Hands bytes on to a server and back, until the server sends something while `isCut` holds: that is lost, and with it
/// the connection.
private final class Breaker: Sendable {
    let port: Int
    private let channel: any Channel

    private init(_ channel: any Channel) {
        self.channel = channel
        port = channel.localAddress?.port ?? 0
    }

    static func listen(before server: Int, isCut: @escaping @Sendable () -> Bool) async throws -> Breaker {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { near in
                ClientBootstrap(group: near.eventLoop)
                    .channelInitializer { far in
                        far.eventLoop.makeCompletedFuture {
                            try far.pipeline.syncOperations.addHandler(Pass(to: near, isCut: isCut))
                        }
                    }
                    .connect(host: "127.0.0.1", port: server)
                    .flatMapThrowing { far in
                        try near.pipeline.syncOperations.addHandler(Pass(to: far) { false })
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return Breaker(channel)
    }

    func close() async throws { try await channel.close() }

    private final class Pass: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let other: any Channel
        private let isCut: @Sendable () -> Bool

        init(to other: any Channel, isCut: @escaping @Sendable () -> Bool) {
            self.other = other
            self.isCut = isCut
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let part = unwrapInboundIn(data)
            if isCut() {
                other.close(promise: nil)
                context.close(promise: nil)
            } else {
                other.writeAndFlush(part, promise: nil)
            }
        }
        func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
