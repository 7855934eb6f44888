// When the rotation of the authority goes on.

import Cluster
import Consensus
import Testing

@testable import Decisions

private let oldPin = String(repeating: "a", count: 64)
private let newPin = String(repeating: "b", count: 64)
private let grace: Int64 = 3_600_000

@Suite struct RotationDecisionTests {
    private var state = ClusterState()
    private var request: UInt64 = 0

    init() {
        apply(.bootstrap(clusterName: "home", member: Self.member(1, .host)))
        for (number, kind) in [(2, MemberKind.host), (3, .witness)] as [(UInt64, MemberKind)] {
            apply(.createToken(JoinToken(id: "t\(number)", secretHash: "h", kind: kind, expiresMilliseconds: .max)))
            apply(.join(tokenID: "t\(number)", secretHash: "h", member: Self.member(number, kind)))
            apply(.observeMember(MemberID(rawValue: number), reachable: true, reason: "answers"))
        }
        let plan = AuthorityRotation.Plan(
            old: AuthorityRecord(pin: oldPin, certificate: "old"),
            new: AuthorityRecord(pin: newPin, certificate: "new"), link: "link", graceMilliseconds: grace)
        apply(.rotateAuthority(plan))
    }

    private static func member(_ number: UInt64, _ kind: MemberKind) -> MemberRecord {
        MemberRecord(
            id: MemberID(rawValue: number), name: "m\(number)", kind: kind, peerEndpoint: "m:7400",
            apiEndpoint: "m:7443", version: "v")
    }

    private mutating func apply(_ command: Command, at milliseconds: Int64 = 0) {
        request += 1
        let outcome = state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 1, request: request, settled: 0), milliseconds: milliseconds, actor: "m1",
                command: command))
        #expect(outcome.code == .done, "\(command): \(outcome.message)")
    }

    private mutating func announce(_ number: UInt64, preparedFor: String? = nil, signedBy: String? = nil) {
        guard var record = state.members[MemberID(rawValue: number)] else { return }
        (record.preparedFor, record.signedBy) = (preparedFor, signedBy)
        apply(.announce(member: record))
    }

    private mutating func replace() {
        for number in 1...3 as ClosedRange<UInt64> { announce(number, preparedFor: newPin) }
        apply(.advanceRotation(pin: newPin, to: .replace), at: 0)
    }

    private func next(longGone: [UInt64] = [], at milliseconds: Int64 = 0) -> Command? {
        let ids = state.members.keys
        let view = LeaderView(
            leader: ids[0], standings: [:], configuration: Configuration(voters: ids),
            longGone: longGone.map(MemberID.init(rawValue:)))
        return RotationDecisions.next(state: state, view: view, wallMilliseconds: milliseconds)
    }

    @Test mutating func theNewOneSignsWhenEverybodyTrustsIt() {
        announce(1, preparedFor: newPin)
        announce(2, preparedFor: newPin)
        #expect(next() == nil)
        announce(3, preparedFor: newPin)
        #expect(next() == .advanceRotation(pin: newPin, to: .replace))
    }

    @Test mutating func oneThatHasBeenAwayForLongHoldsNobodyUp() {
        announce(1, preparedFor: newPin)
        announce(3, preparedFor: newPin)
        #expect(next() == nil)
        #expect(next(longGone: [2]) == .advanceRotation(pin: newPin, to: .replace))
    }

    @Test mutating func withoutAHostThatCanSignItDoesNotSign() {
        announce(3, preparedFor: newPin)
        #expect(next(longGone: [1, 2]) == nil)
    }

    @Test mutating func theOldOneIsTrustedAsLongAsAMemberShowsItsCertificate() {
        replace()
        announce(1, signedBy: newPin)
        announce(2, signedBy: newPin)
        #expect(next(longGone: [3], at: .max) == nil, "also one that has been away for long: it is to come back")
        announce(3, signedBy: newPin)
        #expect(next() == .advanceRotation(pin: newPin, to: .finish))
    }

    @Test mutating func aMemberThatIsRemovedIsNotWaitedFor() {
        replace()
        announce(1, signedBy: newPin)
        announce(2, signedBy: newPin)
        apply(.removeMember(MemberID(rawValue: 3)))
        #expect(next() == .advanceRotation(pin: newPin, to: .finish))
    }

    @Test mutating func operatorsHaveTimeToRenew() {
        var vera = OperatorRecord(name: "vera", role: .viewer, key: "k", certificateExpires: .max)
        vera.signedBy = oldPin
        apply(.admitOperator(vera))
        replace()
        for number in 1...3 as ClosedRange<UInt64> { announce(number, signedBy: newPin) }
        #expect(next(at: grace - 1) == nil)
        #expect(next(at: grace) == .advanceRotation(pin: newPin, to: .finish))
        vera.signedBy = newPin
        apply(.admitOperator(vera))
        #expect(next() == .advanceRotation(pin: newPin, to: .finish), "nobody is left to wait for")
    }

    @Test mutating func whoseCertificateIsWorthNothingIsNotWaitedFor() {
        apply(.admitOperator(OperatorRecord(name: "gone", role: .viewer, key: "k", certificateExpires: .max)))
        apply(.admitOperator(OperatorRecord(name: "ended", role: .viewer, key: "k", certificateExpires: 5)))
        apply(.revokeOperator(name: "gone"))
        replace()
        for number in 1...3 as ClosedRange<UInt64> { announce(number, signedBy: newPin) }
        #expect(next(at: 4) == nil)
        #expect(next(at: 5) == .advanceRotation(pin: newPin, to: .finish))
    }

    @Test mutating func itSaysWhatItWaitsFor() {
        announce(1, preparedFor: newPin)
        announce(3, preparedFor: newPin)
        let spreading = RotationDecisions.waitsFor(state, silent: [MemberID(rawValue: 2)], wallMilliseconds: 0)
        #expect(spreading.count == 1 && spreading[0].contains("m2 trusts the new authority"))
        #expect(spreading[0].contains("waited for an hour"))
        announce(2, preparedFor: newPin)
        apply(.advanceRotation(pin: newPin, to: .replace))
        apply(.admitOperator(OperatorRecord(name: "vera", role: .viewer, key: "k", certificateExpires: .max)))
        announce(1, signedBy: newPin)
        announce(2, signedBy: newPin)
        let replacing = RotationDecisions.waitsFor(state, silent: [MemberID(rawValue: 3)], wallMilliseconds: 1)
        #expect(replacing.count == 2, "\(replacing)")
        #expect(replacing[0].contains("holdfast cluster remove m3"))
        #expect(replacing[1].contains("vera") && replacing[1].contains("1 h"))
    }
}
