// Certificates that renew themselves, and connections that do not notice.

import Crypto
import FoundationEssentials
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Testing
import X509

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct CertificateKeeperTests {
    private let cluster: TestCluster
    private let day: TimeInterval = 86_400
    private let used = Ledger<MemberIdentity>()
    private let written = Ledger<MemberIdentity>()
    private let asked = Ledger<[Endpoint]>()
    private let log = Ledger<String>()

    init() throws { cluster = try TestCluster() }

    private struct NoAnswer: Error {}

    private func keeper(
        _ identity: MemberIdentity, use: @escaping @Sendable (MemberIdentity) async throws -> Void = { _ in },
        ask: @escaping @Sendable (String) throws -> String = { _ in throw NoAnswer() }
    ) -> CertificateKeeper {
        let (used, written, asked, log) = (used, written, asked, log)
        let host = cluster.founder.settings.record(version: "1")
        return CertificateKeeper(
            identity: identity,
            surroundings: .init(
                members: { [host, identity.settings.record(version: "1")] },
                ask: { request, _, hosts in
                    asked.add(hosts)
                    return RenewResponse(certificate: try ask(request.csr))
                },
                use: {
                    try await use($0)
                    used.add($0)
                }, write: { written.add($0) }),
            log: Logger(label: "keeper", factory: { _ in LedgerLog(ledger: log) }), jitter: { 0 })
    }

    /// What a host of the cluster would answer.
    private func sign(_ member: MemberIdentity, now: Date = Date()) -> @Sendable (String) throws -> String {
        let enrollment = Enrollment(identity: cluster.founder)
        return { try enrollment.renew(csr: $0, members: [member.settings.record(version: "1")], now: now) }
    }

    @Test func aHostSignsForItself() async throws {
        let host = try cluster.member("pve2", issued: Date() - 70 * day, withAuthority: true)
        let wait = await keeper(host).look()
        #expect(used.items.count == 1)
        #expect(written.items.first?.expires == used.items.first?.expires)
        #expect(used.items.first.map { $0.expires > host.expires + 60 * day } == true)
        #expect(asked.items.isEmpty)
        #expect(wait == .seconds(600), "the clock is looked at every ten minutes")
    }

    @Test func aMemberTakesAnotherNameWithACertificateThatHasIt() async throws {
        let host = try cluster.member("pve2", withAuthority: true)
        let keeper = keeper(host)
        #expect(await keeper.rename(to: "pve9"))
        let renamed = try #require(used.items.first)
        #expect(renamed.settings.name == "pve9" && renamed.member == host.member)
        #expect(renamed.certificate.subject.description.contains("pve9"))
        #expect(await keeper.rename(to: "pve9"))
        #expect(used.items.count == 1)
        let data = TemporaryFolder()
        let folder = IdentityFolder(dataDirectory: data.path)
        try folder.create(host)
        try folder.replaceName(of: renamed)
        #expect(try folder.load().settings.name == "pve9")
        #expect(try folder.load().certificate == renamed.certificate)
    }

    @Test func aNameIsTakenLaterWhenNobodySignsForIt() async throws {
        let guest = try cluster.member("cp1", kind: .guest)
        #expect(await keeper(guest).rename(to: "cp9") == false)
        #expect(used.items.isEmpty)
        _ = try await log.line("could not take its new name", "cp9")
    }

    @Test func aGuestAsksAHost() async throws {
        let guest = try cluster.member("cp1", kind: .guest, issued: Date() - 70 * day)
        _ = await keeper(guest, ask: sign(guest)).look()
        #expect(asked.items == [[cluster.founder.settings.apiEndpoint]])
        #expect(used.items.first.map { $0.expires > Date() + 80 * day } == true)
        #expect(used.items.first?.member == guest.member)
    }

    @Test func aMemberWhoseCertificateEndedWhileItWasOffRenewsToo() async throws {
        let guest = try cluster.member("cp1", kind: .guest, issued: Date() - 200 * day)
        _ = await keeper(guest, ask: sign(guest)).look()
        #expect(used.items.first.map { $0.expires > Date() } == true)
    }

    @Test func beforeItIsDueNothingHappens() async throws {
        let host = try cluster.member("pve2", issued: Date() - 50 * day, withAuthority: true)
        _ = await keeper(host).look()
        #expect(used.items.isEmpty && written.items.isEmpty)
    }

    @Test func aFailedAttemptIsRepeatedAfterAPause() async throws {
        let guest = try cluster.member("cp1", kind: .guest, issued: Date() - 70 * day)
        let keeper = keeper(guest)
        let start = Date()
        let pause = await keeper.look(now: start)
        #expect(pause == .seconds(30))
        #expect(await keeper.look(now: start + 29) == .seconds(1))
        #expect(asked.items.count == 1)
        _ = await keeper.look(now: start + 30)
        #expect(asked.items.count == 2)
        _ = try await log.line("was not renewed", "failures=2")
    }

    @Test func aCertificateForAnotherKeyIsNotUsed() async throws {
        let guest = try cluster.member("cp1", kind: .guest, issued: Date() - 70 * day)
        let other = try cluster.member("cp2", kind: .guest)
        let foreign = try other.certificate.serializeAsPEM().pemString
        _ = await keeper(guest, ask: { _ in foreign }).look()
        #expect(used.items.isEmpty && written.items.isEmpty)
        _ = try await log.line("was not renewed", "another key")
    }

    @Test func aCertificateThatIsNotValidYetIsNotUsed() async throws {
        let guest = try cluster.member("cp1", kind: .guest, issued: Date() - 70 * day)
        // The host's clock is a day ahead.
        _ = await keeper(guest, ask: sign(guest, now: Date() + day)).look()
        #expect(used.items.isEmpty)
        _ = try await log.line("was not renewed", "check both clocks")
    }

    @Test func closeToTheAuthoritysEndItDoesNotAskWithoutPause() async throws {
        let end = cluster.founder.trust.certificate.notValidAfter
        let host = try cluster.member("pve2", issued: end - 10 * day, withAuthority: true)
        let keeper = keeper(host)
        let wait = await keeper.look(now: end - day)
        #expect(used.items.count == 1)
        #expect(wait > .seconds(1))
        _ = try await log.line("authority itself ends")
    }

    @Test func aConnectionThatStandsLivesOnAndANewOneShowsTheNewCertificate() async throws {
        let guest = try cluster.member("cp1", kind: .guest, issued: Date() - 70 * day)
        let first = try await TestPeer(cluster.founder, admits: [guest])
        let second = try await TestPeer(guest, admits: [cluster.founder])
        try await first.setPeers([second.record])
        try await second.setPeers([first.record])
        let before = first.frame(to: guest, 1)
        _ = try await first.log.line("connected to a member")
        try await first.send([before])
        _ = try await second.frames.first { $0 == before }
        #expect(try await shown(at: second.port) == guest.certificate)

        let lines = first.log.items.count
        let transport = second.transport
        let keeper = keeper(
            guest, use: { renewed in try await transport.onLoop { try $0.use(renewed) } }, ask: sign(guest))
        _ = await keeper.look()
        let renewed = try #require(used.items.first)
        #expect(try await shown(at: second.port) == renewed.certificate)
        let after = first.frame(to: guest, 2)
        try await first.send([after])
        _ = try await second.frames.first { $0 == after }
        #expect(!first.log.items.dropFirst(lines).contains { $0.contains("connected to a member") })
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    /// The certificate that a member shows to a new connection.
    private func shown(at port: Int) async throws -> Certificate {
        let certificates = Ledger<[UInt8]>()
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .noHostnameVerification
        let context = try NIOSSLContext(configuration: configuration)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let tls = try NIOSSLClientHandler(context: context, serverHostname: nil) { chain, verdict in
                        certificates.add((try? chain.first?.toDERBytes()) ?? [])
                        verdict.succeed(.certificateVerified)
                    }
                    try channel.pipeline.syncOperations.addHandler(tls)
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let certificate = try Certificate(derEncoded: try await certificates.first { _ in true })
        channel.close(promise: nil)
        return certificate
    }
}
