// The rotation of the authority as the state keeps it.

import Consensus
import Testing

@testable import Cluster

private let old = AuthorityRecord(pin: String(repeating: "a", count: 64), certificate: "old")
private let new = AuthorityRecord(pin: String(repeating: "b", count: 64), certificate: "new")
private let plan = AuthorityRotation.Plan(old: old, new: new, link: "link", graceMilliseconds: 60_000)

private func member(_ number: UInt64, _ change: (inout MemberRecord) -> Void = { _ in }) -> MemberRecord {
    var record = MemberRecord(
        id: MemberID(rawValue: number), name: "m\(number)", kind: .host, peerEndpoint: "m\(number):7400",
        apiEndpoint: "m\(number):7443", version: "v")
    change(&record)
    return record
}

private struct Home {
    var state = ClusterState()
    private var request: UInt64 = 0

    init(level: UInt64? = FeatureLevel.newest) {
        _ = apply(.bootstrap(clusterName: "home", member: member(1) { $0.level = level }))
    }

    @discardableResult
    mutating func apply(_ command: Command, at milliseconds: Int64 = 1) -> Outcome {
        request += 1
        return state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 1, request: request, settled: 0), milliseconds: milliseconds,
                actor: "tester", command: command))
    }
}

@Suite struct RotationTests {
    @Test func bothAreTrustedWhileItIsUnderWayAndTheOtherSignsFromTheSecondStepOn() {
        var home = Home()
        #expect(home.state.authorityBook == nil, "a cluster that never rotated trusts what its members joined with")
        #expect(home.apply(.rotateAuthority(plan)).code == .done)
        #expect(home.state.authorityBook == AuthorityBook(trusted: [old, new], links: ["link"], newest: new.pin))
        #expect(home.apply(.advanceRotation(pin: new.pin, to: .replace), at: 5_000).code == .done)
        #expect(home.state.authorityBook == AuthorityBook(trusted: [new, old], links: ["link"], newest: new.pin))
        #expect(home.state.rotation?.operatorsUntilMilliseconds == 65_000)
        home.apply(.announce(member: member(1) { $0.signedBy = new.pin }))
        #expect(home.apply(.advanceRotation(pin: new.pin, to: .finish)).code == .done)
        #expect(home.state.authorityBook == AuthorityBook(trusted: [new], links: [], newest: new.pin))
        #expect(home.state.events.suffix(1).map(\.type) == ["AuthorityRotated"])
    }

    @Test func theOldOneStaysWhileAMemberShowsItsCertificate() {
        var home = Home()
        home.apply(.rotateAuthority(plan))
        home.apply(.advanceRotation(pin: new.pin, to: .replace))
        home.apply(.announce(member: member(1) { $0.signedBy = old.pin }))
        let refused = home.apply(.advanceRotation(pin: new.pin, to: .finish))
        #expect(refused.code == .unsafe && refused.message.contains("m1"))
        #expect(home.state.rotation != nil)
    }

    @Test func aStepOutOfTurnChangesNothing() {
        var home = Home()
        #expect(home.apply(.advanceRotation(pin: new.pin, to: .replace)).code == .unchanged)
        home.apply(.rotateAuthority(plan))
        #expect(home.apply(.advanceRotation(pin: new.pin, to: .finish)).code == .unchanged)
        #expect(home.apply(.advanceRotation(pin: old.pin, to: .replace)).code == .unchanged)
        #expect(home.state.rotation?.phase == .spreading)
        home.apply(.advanceRotation(pin: new.pin, to: .replace), at: 7)
        #expect(home.apply(.advanceRotation(pin: new.pin, to: .replace), at: 9).code == .unchanged)
        #expect(home.state.rotation?.replacingMilliseconds == 7)
    }

    @Test func onlyOneRotationIsUnderWayAndItBeginsFromTheAuthorityThereIs() {
        var home = Home()
        home.apply(.rotateAuthority(plan))
        #expect(home.apply(.rotateAuthority(plan)).code == .conflict)
        home.apply(.cancelRotation(pin: new.pin))
        let back = AuthorityRotation.Plan(old: new, new: old, link: "link", graceMilliseconds: 60_000)
        #expect(home.apply(.rotateAuthority(back)).code == .conflict, "the other one signs")
        #expect(home.apply(.rotateAuthority(plan)).code == .done)
    }

    @Test func itCanBeCalledOffUntilTheNewOneSigns() {
        var home = Home()
        #expect(home.apply(.cancelRotation(pin: new.pin)).code == .notFound)
        home.apply(.rotateAuthority(plan))
        #expect(home.apply(.cancelRotation(pin: new.pin)).code == .done)
        #expect(home.state.authorityBook == AuthorityBook(trusted: [old], links: [], newest: old.pin))
        home.apply(.rotateAuthority(plan))
        home.apply(.advanceRotation(pin: new.pin, to: .replace))
        #expect(home.apply(.cancelRotation(pin: new.pin)).code == .unsafe)
    }

    @Test func whatIsNoAuthorityIsRefused() {
        var home = Home()
        let broken: [(inout AuthorityRotation.Plan) -> Void] = [
            { $0.new.pin = $0.old.pin }, { $0.new.pin = "b" }, { $0.new.pin = String(repeating: "B", count: 64) },
            { $0.link = "" }, { $0.new.certificate = String(repeating: "x", count: 4_097) },
            { $0.graceMilliseconds = 59_999 }, { $0.graceMilliseconds = .max },
        ]
        for change in broken {
            var wrong = plan
            change(&wrong)
            #expect(home.apply(.rotateAuthority(wrong)).code == .invalid)
        }
        #expect(home.state.rotation == nil)
    }

    @Test func membersOfAnOlderVersionAreWaitedFor() {
        var home = Home(level: 1)
        #expect(home.apply(.rotateAuthority(plan)).code == .unsafe)
        home.apply(.announce(member: member(1) { ($0.level, $0.signedBy) = (1, old.pin) }))
        #expect(home.state.members[MemberID(rawValue: 1)]?.signedBy == nil, "a version of level 1 would not keep it")
    }

    @Test func aMemberThatOnlyTrustsAnotherAuthorityHasNotStartedAgain() {
        var home = Home()
        home.apply(.announce(member: member(1) { $0.signedBy = old.pin }))
        home.apply(.announce(member: member(1) { $0.preparedFor = new.pin }))
        #expect(home.state.events.last?.type == "AuthorityTrusted")
        home.apply(.announce(member: member(1) { $0.signedBy = new.pin }))
        #expect(home.state.events.last?.type == "CertificateRenewed")
        let known = home.state.members[MemberID(rawValue: 1)]
        #expect(known?.signedBy == new.pin && known?.preparedFor == new.pin, "what is not said stays")
    }

    @Test func aNewClusterFromABackupHasItsOwnAuthority() {
        var home = Home()
        home.apply(.rotateAuthority(plan))
        let next = home.state.forNewCluster("from a backup", milliseconds: 1)
        #expect(next.authority == nil && next.rotation == nil)
    }
}
