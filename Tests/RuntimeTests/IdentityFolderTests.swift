// The identity on disk.

import Consensus
import Crypto
import FoundationEssentials
import Glibc
import Testing

@testable import Runtime

@Suite struct IdentityFolderTests {
    let data = TemporaryFolder()
    let cluster: TestCluster
    var folder: IdentityFolder { IdentityFolder(dataDirectory: data.path) }

    init() throws { cluster = try TestCluster() }

    private func loadError() -> IdentityError? {
        do throws(IdentityError) {
            _ = try folder.load()
            return nil
        } catch { return error }
    }

    @Test func whatIsWrittenIsReadBack() throws {
        try folder.create(cluster.founder)
        let loaded = try folder.load()
        #expect(loaded.settings == cluster.founder.settings)
        #expect(loaded.key.rawRepresentation == cluster.founder.key.rawRepresentation)
        #expect(loaded.certificate == cluster.founder.certificate)
        #expect(loaded.trust.pin == cluster.founder.trust.pin)
        #expect(loaded.authority?.key.rawRepresentation == cluster.authority.key.rawRepresentation)
        #expect(loaded.settings.initialVoters == [cluster.founder.member])
    }

    @Test func aFounderVotesAloneAndHoldsTheAuthority() throws {
        let founder = try MemberIdentity.found(name: "pve1", address: "fd00::1", peerPort: 7000, apiPort: 7443)
        try folder.create(founder)
        let loaded = try folder.load()
        #expect(loaded.settings.initialVoters == [founder.member])
        #expect(loaded.settings.record(version: "1").peerEndpoint == "[fd00::1]:7000")
        #expect(loaded.authority != nil)
        #expect(throws: EnrollmentRefusal.self) {
            try MemberIdentity.found(name: "PVE 1", address: "fd00::1", peerPort: 7000, apiPort: 7443)
        }
    }

    @Test func keysAreForTheOwnerOnly() throws {
        try folder.create(cluster.founder)
        #expect(data.mode(of: "identity") == 0o700)
        #expect(data.mode(of: "identity/key.pem") == 0o600)
        #expect(data.mode(of: "identity/authority-key.pem") == 0o600)
        #expect(data.mode(of: "identity/certificate.pem") == 0o644)
    }

    @Test func aMemberThatIsNoHostHasNoAuthorityKey() throws {
        try folder.create(try cluster.member("k8s-1", kind: .guest))
        #expect(data.mode(of: "identity/authority-key.pem") == 0)
        #expect(try folder.load().authority == nil)
    }

    @Test(arguments: ["key.pem", "authority-key.pem"], [0o640, 0o604, 0o620] as [UInt32])
    func aKeyThatOthersMayTouchIsRefused(file: String, mode: UInt32) throws {
        try folder.create(cluster.founder)
        chmod("\(folder.path)/\(file)", mode)
        let error = try #require(loadError())
        #expect(error.path.hasSuffix(file))
        #expect(error.description.contains("chmod 600"))
    }

    @Test(arguments: ["key.pem", "certificate.pem", "authority.pem", "authority-key.pem", "member.json"])
    func aDamagedFileIsNamed(file: String) throws {
        try folder.create(cluster.founder)
        try data.write("nonsense", to: "identity/\(file)")
        chmod("\(folder.path)/\(file)", 0o600)
        let error = try #require(loadError())
        #expect(error.path == "\(folder.path)/\(file)")
        #expect(error.remedy.contains("holdfast agent --join TOKEN"))
    }

    @Test(arguments: ["key.pem", "certificate.pem", "authority.pem"])
    func aMissingFileIsNamed(file: String) throws {
        try folder.create(cluster.founder)
        unlink("\(folder.path)/\(file)")
        #expect(try #require(loadError()).path == "\(folder.path)/\(file)")
    }

    @Test func aFileOfAnotherMemberIsNoticed() throws {
        let other = try cluster.member("pve2")
        try folder.create(cluster.founder)
        try data.write(other.certificate.serializeAsPEM().pemString, to: "identity/certificate.pem")
        #expect(try #require(loadError()).problem.contains("another key"))
    }

    @Test func theKeyOfAnotherAuthorityIsNoticed() throws {
        try folder.create(cluster.founder)
        try data.write(P256.Signing.PrivateKey().pemRepresentation, to: "identity/authority-key.pem")
        #expect(try #require(loadError()).path.hasSuffix("authority-key.pem"))
    }

    @Test func nobodyJoinsTwice() throws {
        try folder.create(cluster.founder)
        #expect(throws: IdentityError.self) { try folder.create(try cluster.member("pve2")) }
        #expect(throws: IdentityError.self) { try folder.keyForJoining() }
        #expect(try folder.load().settings.name == "pve1")
    }

    @Test func withoutAnIdentityTheWayToOneIsShown() throws {
        #expect(try #require(loadError()).remedy.contains("cluster init"))
    }

    @Test func aJoinThatWasCutOffIsRepeatedWithTheSameKey() throws {
        let first = try folder.keyForJoining()
        let second = try folder.keyForJoining()
        #expect(first.rawRepresentation == second.rawRepresentation)
        #expect(!folder.isComplete)
        #expect(data.mode(of: "identity/key.pem") == 0o600)
    }

    @Test func aCrashBetweenWritingAndRenamingLeavesNothingInTheWay() throws {
        _ = try folder.keyForJoining()
        try data.write("half", to: "identity/member.json.new")
        try folder.create(cluster.founder)
        #expect(try folder.load().settings == cluster.founder.settings)
    }

    @Test func aRenewedCertificateReplacesTheOldOne() throws {
        let member = try cluster.member("pve2", issued: Date() - 100 * 86_400)
        try folder.create(member)
        let renewed = try member.renewed(
            with: cluster.authority.issue(member: "pve2", key: member.key.publicKey))
        try folder.replaceCertificate(of: renewed)
        #expect(try folder.load().expires > Date())
    }

    @Test func anExpiredCertificateStillLoads() throws {
        try folder.create(try cluster.member("pve2", issued: Date() - 100 * 86_400))
        #expect(try folder.load().expires < Date())
    }
}
