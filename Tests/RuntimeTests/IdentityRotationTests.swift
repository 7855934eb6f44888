// One authority takes another one's place: who is believed meanwhile, what stands on the disk, and who gets the key.

@testable import Cluster
import Consensus
import Crypto
import FoundationEssentials
import Glibc
import Logging
import NIOCore
import NIOPosix
import Testing
import X509

@testable import Runtime

@Suite(.timeLimit(.minutes(1))) struct IdentityRotationTests {
    let cluster: TestCluster
    let new: ClusterAuthority
    let plan: AuthorityRotation.Plan
    let data = TemporaryFolder()

    init() throws {
        cluster = try TestCluster()
        let made = try Enrollment(identity: cluster.founder).newAuthority(graceMilliseconds: 60_000)
        (new, plan) = try #require(made)
    }

    private var old: ClusterAuthority { cluster.authority }
    private var links: [Certificate] { get throws { [try Certificate(pemEncoded: plan.link)] } }
    private var spreading: AuthorityBook {
        .init(trusted: [plan.old, plan.new], links: [plan.link], newest: plan.new.pin)
    }
    private var replacing: AuthorityBook {
        .init(trusted: [plan.new, plan.old], links: [plan.link], newest: plan.new.pin)
    }
    private var over: AuthorityBook { .init(trusted: [plan.new], links: [], newest: plan.new.pin) }

    /// As a member is whose certificate the new authority has signed.
    private func renewed(_ member: MemberIdentity, _ book: AuthorityBook) throws -> MemberIdentity {
        let trust = try ClusterTrust(book, cluster: cluster.founder.cluster)
        return try member.trusting(
            trust, certificate: new.issue(member: member.settings.name, key: member.key.publicKey),
            authorities: member.settings.kind == .host ? [new, old].filter { trust.pins.contains($0.trust.pin) } : [])
    }

    private func chain(_ identity: MemberIdentity) throws -> [[UInt8]] {
        try identity.shownChain.map { try $0.derBytes() }
    }

    // MARK: Who is believed

    @Test func whoKnowsBothBelievesBoth() throws {
        let trust = try ClusterTrust(spreading, cluster: cluster.founder.cluster)
        let member = try cluster.member("pve2")
        #expect(try trust.authenticate(chain: chain(member), as: .client) == .member(member.member))
        #expect(try trust.authenticate(chain: chain(renewed(member, replacing)), as: .server) == .member(member.member))
    }

    @Test func whoKnowsOnlyTheOldOneBelievesTheNewOneByItsLinkAlone() throws {
        let shown = try chain(renewed(cluster.member("pve2"), replacing))
        #expect(throws: Never.self) { try cluster.founder.trust.authenticate(chain: shown, as: .server) }
        let linkless = [shown[0]] + shown.dropFirst(2)
        #expect(throws: CertificateRefusal.self) {
            try cluster.founder.trust.authenticate(chain: linkless, as: .server)
        }
    }

    @Test func aLinkOfAStrangerSaysNothing() throws {
        let stranger = try TestCluster()
        // A stranger's authority under this cluster's name, with a link of its own making.
        let impostor = try ClusterAuthority.create(cluster: cluster.founder.cluster)
        let leaf = try impostor.issue(member: "pve9", key: stranger.founder.key.publicKey)
        let other = try ClusterAuthority.create(cluster: cluster.founder.cluster)
        for link in [try other.link(to: impostor), impostor.trust.certificate] {
            let shown = [try leaf.derBytes(), try link.derBytes()]
            #expect(throws: CertificateRefusal.self) {
                try cluster.founder.trust.authenticate(chain: shown, as: .client)
            }
        }
    }

    @Test func aMembersCertificateIsNoLink() throws {
        let member = try cluster.member("pve2")
        // Signed by a member's key, shown with that member's own certificate.
        let forged = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(),
            publicKey: .init(P256.Signing.PrivateKey().publicKey),
            notValidBefore: Date() - 60, notValidAfter: Date() + 60, issuer: member.certificate.subject,
            subject: member.certificate.subject, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions(), issuerPrivateKey: .init(member.key))
        let shown = [try forged.derBytes(), try member.certificate.derBytes()]
        #expect(throws: CertificateRefusal.self) { try cluster.founder.trust.authenticate(chain: shown, as: .client) }
    }

    @Test func aLinkLastsAsLongAsBothAuthorities() throws {
        let link = try links[0]
        #expect(link.notValidAfter == min(old.trust.certificate.notValidAfter, new.trust.certificate.notValidAfter))
        let shown = try chain(renewed(cluster.member("pve2"), replacing))
        #expect(throws: CertificateRefusal.self) {
            try cluster.founder.trust.authenticate(chain: shown, as: .server, now: link.notValidAfter + 1)
        }
    }

    @Test func whoDroppedTheOldOneBelievesNothingOfIt() throws {
        let trust = try ClusterTrust(over, cluster: cluster.founder.cluster)
        #expect(throws: CertificateRefusal.self) {
            try trust.authenticate(chain: chain(cluster.member("pve2")), as: .client)
        }
    }

    @Test func aBookWhoseNamesAreNotThoseOfItsCertificatesIsRefused() throws {
        var wrong = spreading
        wrong.trusted[1].pin = plan.old.pin
        #expect(throws: CertificateRefusal.self) { try ClusterTrust(wrong, cluster: cluster.founder.cluster) }
    }

    /// A member that was away throughout, and one that has been through it: each believes the other, both ways.
    @Test func aMemberThatWasAwayAndOneThatHasANewCertificateConnect() async throws {
        let away = try cluster.member("vault")
        let present = try renewed(cluster.founder, replacing)
        let first = try await TestPeer(present, admits: [away])
        let second = try await TestPeer(away, admits: [present])
        try await first.setPeers([second.record])
        try await second.setPeers([first.record])
        let (there, back) = (first.frame(to: away, 1), second.frame(to: present, 2))
        _ = try await first.log.line("connected to a member")
        _ = try await second.log.line("connected to a member")
        try await first.send([there])
        try await second.send([back])
        _ = try await second.frames.first { $0 == there }
        _ = try await first.frames.first { $0 == back }
        await first.transport.shutDown()
        await second.transport.shutDown()
    }

    // MARK: On the disk

    @Test func anIdentityIsWholeAfterACrashBetweenAnyTwoFiles() throws {
        let folder = IdentityFolder(dataDirectory: data.path)
        try folder.create(cluster.founder)
        let spread = try cluster.founder.trusting(
            ClusterTrust(spreading, cluster: cluster.founder.cluster), authorities: [old, new])
        for next in [spread, try renewed(spread, replacing), try renewed(spread, over)] {
            for step in try folder.stepsReplacingTrust(of: next) {
                try step.take(folder)
                let found = try folder.load()
                // It can sign for what it shows, and shows what it trusts.
                #expect(found.authority != nil)
                #expect(found.trust.pins.contains(found.signedBy))
            }
            let found = try folder.load()
            #expect(found.trust.pins == next.trust.pins && found.trust.links == next.trust.links)
            #expect(found.certificate == next.certificate)
            #expect(found.authorities.map(\.trust.pin) == next.authorities.map(\.trust.pin))
        }
        #expect(data.mode(of: "identity/authority-key.pem") == 0o600)
    }

    @Test func aNewAuthoritysKeyIsKeptForTheOwnerAloneUntilItIsInUse() throws {
        let folder = IdentityFolder(dataDirectory: data.path)
        try folder.create(cluster.founder)
        let current = CurrentIdentity(cluster.founder)
        #expect(try current.newAuthority(graceMilliseconds: 60_000, keptIn: nil) != nil)
        #expect(try folder.nextKeys().isEmpty, "a rehearsal keeps nothing")
        for _ in 0..<IdentityFolder.mostNextKeys + 2 {
            _ = try current.newAuthority(graceMilliseconds: 60_000, keptIn: folder)
        }
        #expect(try folder.nextKeys().count == IdentityFolder.mostNextKeys)
        #expect(data.mode(of: "identity/authority-next-key.pem") == 0o600)
        try folder.keepNext(new)
        let spread = try cluster.founder.trusting(
            ClusterTrust(spreading, cluster: cluster.founder.cluster), authorities: [old, new])
        try folder.replaceTrust(of: spread)
        #expect(try folder.nextKeys().isEmpty)
    }

    // MARK: The keeper

    private let used = Ledger<MemberIdentity>()
    private let told = Ledger<[String?]>()

    private func keeper(
        _ identity: MemberIdentity, nextKeys: [P256.Signing.PrivateKey] = [],
        ask: @escaping @Sendable (RenewRequest) throws -> RenewResponse = { _ in
            throw IdentityError("x", "y", remedy: "z")
        }
    ) -> CertificateKeeper {
        let (used, told) = (used, told)
        let host = cluster.founder.settings.record(version: "1")
        return CertificateKeeper(
            identity: identity,
            surroundings: .init(
                members: { [host] }, ask: { request, _, _ in try ask(request) }, use: { used.add($0) },
                write: { _ in }, nextKeys: { nextKeys }, tell: { told.add([$0.signedBy, $1]) }),
            log: Logger(label: "keeper", factory: { _ in SwiftLogNoOpLogHandler() }), jitter: { 0 })
    }

    /// A host of the cluster that has been through the step.
    private func host(_ book: AuthorityBook) throws -> @Sendable (RenewRequest) throws -> RenewResponse {
        let identity =
            book == spreading
            ? try cluster.founder.trusting(
                ClusterTrust(book, cluster: cluster.founder.cluster), authorities: [old, new])
            : try renewed(cluster.founder, book)
        return { request in
            let signing = try SigningRequest(pem: request.csr)
            let asking = MemberRecord(
                id: signing.memberID, name: "asking", kind: .host, peerEndpoint: "", apiEndpoint: "", version: "")
            let enrollment = Enrollment(identity: identity)
            return RenewResponse(
                certificate: try enrollment.renew(csr: request.csr, members: [asking]),
                authorityKeys: try request.keysOf.map {
                    try enrollment.authorityKeys(of: $0, csr: request.csr, members: [asking])
                })
        }
    }

    @Test func theHostThatMadeItHasTheKeyAndSignsForItselfAtTheSecondStep() async throws {
        let keeper = keeper(cluster.founder, nextKeys: [P256.Signing.PrivateKey(), new.key])
        #expect(await keeper.follow(spreading))
        #expect(told.items == [[old.trust.pin, new.trust.pin]])
        #expect(used.items.last?.certificate == cluster.founder.certificate)
        #expect(await keeper.follow(replacing))
        #expect(told.items.last == [new.trust.pin, new.trust.pin])
        #expect(await keeper.follow(over))
        let last = try #require(used.items.last)
        #expect(last.trust.pins == [new.trust.pin] && last.authorities.map(\.trust.pin) == [new.trust.pin])
        let before = used.items.count
        #expect(await keeper.follow(over))
        #expect(used.items.count == before, "what is done is not done again")
    }

    @Test func anotherHostAsksForTheKey() async throws {
        let other = try cluster.member("pve2", withAuthority: true)
        let early = keeper(other)
        #expect(await early.follow(spreading) == false)
        #expect(told.items == [[old.trust.pin, nil]], "it trusts the new one and cannot sign with it")
        let keeper = keeper(other, ask: try host(spreading))
        #expect(await keeper.follow(spreading))
        #expect(told.items.last == [old.trust.pin, new.trust.pin])
        #expect(used.items.last?.authorities.count == 2)
    }

    @Test func aGuestAsksForACertificateAndKeepsTrustingWhatItShowsUntilItHasOne() async throws {
        let guest = try cluster.member("cp1", kind: .guest)
        let keeper = keeper(guest)
        #expect(await keeper.follow(spreading))
        #expect(told.items.last == [old.trust.pin, new.trust.pin])
        #expect(await keeper.follow(replacing) == false)
        #expect(used.items.last?.signedBy == old.trust.pin)
        let answered = self.keeper(try #require(used.items.last), ask: try host(replacing))
        #expect(await answered.follow(replacing))
        #expect(told.items.last == [new.trust.pin, new.trust.pin])
        #expect(used.items.last?.authorities.isEmpty == true, "a guest gets no key")
    }

    @Test func aHostThatIsBehindSignsNothingThatCounts() async throws {
        let guest = try cluster.member("cp1", kind: .guest)
        let keeper = keeper(guest, ask: try host(spreading))
        #expect(await keeper.follow(replacing) == false)
        #expect(used.items.last?.signedBy == old.trust.pin)
    }

    /// Away from before the first step until after the second one, and back: it knows only the old authority.
    @Test func aMemberThatWasAwayCatchesUpInOne() async throws {
        for kind in [MemberKind.host, .guest] {
            let away = try cluster.member("vault", kind: kind, withAuthority: kind == .host)
            #expect(await keeper(away, ask: try host(replacing)).follow(replacing))
            let back = try #require(used.items.last)
            #expect(back.signedBy == new.trust.pin && back.trust.pins == [new.trust.pin, old.trust.pin])
            #expect(back.authorities.count == (kind == .host ? 2 : 0))
        }
    }

    // MARK: Who gets the key

    @Test func onlyAHostOfTheClusterGetsTheKey() throws {
        let enrollment = Enrollment(identity: try renewed(cluster.founder, replacing))
        let host = try cluster.member("pve2")
        let guest = try cluster.member("cp1", kind: .guest)
        let members = [host, guest].map { identity in
            var record = identity.settings.record(version: "1")
            record.key = ClusterTrust.pin(of: identity.key.publicKey)
            return record
        }
        func ask(_ identity: MemberIdentity, _ members: [MemberRecord], _ pin: String) throws -> [SealedAuthorityKey] {
            let csr = try SigningRequest.make(name: "any", key: identity.key)
            return try enrollment.authorityKeys(of: [pin], csr: csr, members: members)
        }
        let sealed = try #require(try ask(host, members, new.trust.pin).first)
        #expect(try sealed.open(with: host.key, trust: new.trust).trust.pin == new.trust.pin)
        #expect(throws: (any Error).self) { try sealed.open(with: guest.key, trust: new.trust) }
        #expect(throws: EnrollmentRefusal.self) { try ask(guest, members, new.trust.pin) }
        #expect(throws: EnrollmentRefusal.self) { try ask(host, [members[1]], new.trust.pin) }
        #expect(throws: EnrollmentRefusal.self) { try ask(host, members, String(repeating: "0", count: 64)) }
    }

    // MARK: Joining meanwhile

    @Test(arguments: [true, false]) func aMachineJoinsWhileOneTakesTheOthersPlace(isReplacing: Bool) async throws {
        let identity =
            isReplacing
            ? try renewed(cluster.founder, replacing)
            : try cluster.founder.trusting(
                ClusterTrust(spreading, cluster: cluster.founder.cluster), authorities: [old, new])
        // The token is from before.
        let applicant = JoinApplicant(name: "pve2", address: "127.0.0.1", peerPort: 7000, apiPort: 7443, version: "1")
        let key = P256.Signing.PrivateKey()
        let server = try await JoinServer(identity) { request in
            let enrollment = Enrollment(identity: identity)
            let prepared = try enrollment.prepare(request, members: [])
            return (200, Array(try JSONEncoder().encode(enrollment.complete(prepared, members: [prepared.record]))))
        }
        let token = JoinTokenText(trust: cluster.founder.trust, endpoints: [server.endpoint], kind: .host)
        let joined = try await JoinClient.join(
            token: token, applicant: applicant, key: key, group: MultiThreadedEventLoopGroup.singleton)
        #expect(joined.trust.pins == identity.trust.pins)
        #expect(joined.authorities.count == 2 && joined.authority != nil)
        #expect(joined.signedBy == identity.trust.pin)
        #expect(try joined.trust.links == links)
        await server.stop()
    }

    @Test func aTokenFromBeforeIsRefusedInWordsWhenItIsOver() async throws {
        let identity = try renewed(cluster.founder, over)
        let server = try await JoinServer(identity) { _ in (500, []) }
        let token = JoinTokenText(trust: cluster.founder.trust, endpoints: [server.endpoint], kind: .host)
        let applicant = JoinApplicant(name: "pve2", address: "127.0.0.1", peerPort: 7000, apiPort: 7443, version: "1")
        let error = await #expect(throws: JoinError.self) {
            _ = try await JoinClient.join(
                token: token, applicant: applicant, key: P256.Signing.PrivateKey(),
                group: MultiThreadedEventLoopGroup.singleton)
        }
        #expect(error?.description.contains("before the authority was rotated") == true, "\(String(describing: error))")
        await server.stop()
    }
}
