// What a cluster is guarded against whose founder's record stands in its first command, and that an older one goes on as
// it was.

import Consensus
import Testing

@testable import Cluster

extension ClusterBench {
    fileprivate mutating func join(_ member: MemberRecord, with token: String) -> Outcome {
        apply(.join(tokenID: token, secretHash: "secret of \(token)", member: member))
    }
}

@Suite struct GuardTests {
    private func person(
        _ role: OperatorRole = .admin, named name: String, key: String = "k1", needs: OperatorRole = .admin
    ) -> CommandOrigin {
        CommandOrigin(name: name, role: role, key: key, needs: needs)
    }

    private let root = CommandOrigin(name: "root", role: .admin, key: "k0", needs: .admin)
    private let put = Command.put(key: "a", value: "1", expected: nil)

    // MARK: Who is nobody

    @Test func whoIsNotInTheTableIsNobodyWhateverItsCertificateSays() {
        var bench = ClusterBench.founded(by: ClusterBench.root)
        let refused = bench.apply(.revokeOperator(name: "root"), by: person(named: "x"))
        #expect(refused.code == .forbidden)
        #expect(refused.message.contains("no operator of this cluster is called x"))
        #expect(bench.state.operators["root"]?.isRevoked == false)
        #expect(bench.apply(put, by: root).code == .done)
    }

    @Test func theFoundersNameDoesNotHelpWithoutItsKey() {
        var bench = ClusterBench.founded(by: ClusterBench.root)
        #expect(bench.apply(put, by: person(named: "root", key: "k9")).code == .forbidden)
    }

    @Test func theFounderAdmitsOthers() {
        var bench = ClusterBench.founded(by: ClusterBench.root)
        let alice = OperatorRecord(name: "alice", role: .operator, key: "k1", certificateExpires: 9_000)
        #expect(bench.apply(.admitOperator(alice), by: root).code == .done)
        #expect(bench.apply(put, by: person(.operator, named: "alice", needs: .operator)).code == .done)
    }

    /// A cluster that an older version founded knows nobody: shutting out who is not known would shut out its owner.
    @Test func aClusterWithoutAFoundersRecordGoesOnAsItWas() {
        var bench = ClusterBench.founded()
        #expect(!bench.state.operatorsAreListed)
        #expect(bench.apply(put, by: person(named: "root", key: "k0")).code == .done)
        let bob = OperatorRecord(name: "bob", role: .admin, key: "k2", certificateExpires: 9_000)
        #expect(bench.apply(.admitOperator(bob), by: person(named: "root", key: "k0")).code == .done)
        #expect(
            bench.apply(put, by: person(named: "root", key: "k0")).code == .done, "not shut out by admitting another")
    }

    @Test func anOlderClusterIsClosedByAnAdminWhoRenewsHisOwnCertificate() {
        var bench = ClusterBench.founded()
        bench.state.rules = 1
        let renewed = OperatorRecord(name: "root", role: .admin, key: "k5", certificateExpires: 9_000)
        #expect(bench.apply(.admitOperator(renewed), by: root).code == .done)
        #expect(bench.state.operatorsAreListed)
        #expect(bench.apply(put, by: person(named: "x")).code == .forbidden)
        #expect(bench.apply(put, by: person(named: "root", key: "k5")).code == .done)
    }

    @Test func aRevokedOperatorIsRememberedForAYearAfterHisLastCertificate() {
        var bench = ClusterBench.founded(by: ClusterBench.root)
        for number in 1..<ClusterState.mostOperators {
            bench.apply(
                .admitOperator(OperatorRecord(name: "n\(number)", role: .viewer, key: "k", certificateExpires: 9_000)))
        }
        // A later certificate that ends earlier: the one before still stands.
        bench.apply(.admitOperator(OperatorRecord(name: "n7", role: .viewer, key: "l", certificateExpires: 2_000)))
        bench.apply(.revokeOperator(name: "n7"))
        let more = Command.admitOperator(OperatorRecord(name: "more", role: .viewer, key: "k", certificateExpires: 1))
        bench.milliseconds = 9_000 + ClusterState.forgettingMilliseconds
        #expect(bench.apply(more).code == .invalid)
        bench.milliseconds += 1
        #expect(bench.apply(more).code == .done)
        #expect(bench.state.operators["n7"] == nil)
    }

    // MARK: Whose key

    private func newcomer(key: String?, name: String = "pve3") -> MemberRecord {
        var record = ClusterBench.record(MemberID(rawValue: 9), name, .host)
        record.key = key
        return record
    }

    /// The id is the beginning of the key's hash, so somebody may find another key that begins alike.
    @Test func aMemberIsItsWholeKeyAndNotItsIdAlone() {
        var bench = ClusterBench.founded(by: ClusterBench.root)
        bench.apply(.createToken(ClusterBench.token("t1")))
        bench.apply(.createToken(ClusterBench.token("t2")))
        #expect(bench.join(newcomer(key: "a"), with: "t1").code == .done)
        #expect(bench.join(newcomer(key: "a"), with: "t1").code == .unchanged, "its first answer was lost")
        #expect(bench.join(newcomer(key: "b"), with: "t1").code == .forbidden)
        #expect(bench.join(newcomer(key: nil), with: "t1").code == .forbidden)
        let taken = bench.join(newcomer(key: "b", name: "pve4"), with: "t2")
        #expect(taken.code == .forbidden && taken.message.contains("another key"))
        #expect(bench.state.members[MemberID(rawValue: 9)]?.key == "a")
    }

    @Test func aRecordWithoutAKeyIsCompletedOnce() {
        var bench = ClusterBench.founded(by: ClusterBench.root)
        var pve2 = ClusterBench.record(ClusterBench.pve2, "pve2", .host)
        for key in ["a", "b"] {
            pve2.key = key
            bench.apply(.announce(member: pve2))
        }
        #expect(bench.state.members[ClusterBench.pve2]?.key == "a")
    }

    /// Members of the version that founded it would not write the key down.
    @Test func anOlderClusterKeepsNoKeys() {
        var bench = ClusterBench.founded()
        bench.apply(.createToken(ClusterBench.token("t1")))
        #expect(bench.join(newcomer(key: "a"), with: "t1").code == .done)
        var pve2 = ClusterBench.record(ClusterBench.pve2, "pve2", .host)
        pve2.key = "b"
        bench.apply(.announce(member: pve2))
        #expect(bench.state.members.values.allSatisfy { $0.key == nil })
        #expect(bench.join(newcomer(key: "b"), with: "t1").code == .unchanged)
    }

    // MARK: What is remembered of people

    @Test func aProgramThatLosesItsRacesPushesNothingOutOfTheAuditLog() {
        var bench = ClusterBench.founded(by: ClusterBench.root)
        bench.apply(.act(what: "revoke mallory"), by: root)
        let log = bench.state.auditLog
        for _ in 0...ClusterState.mostAuditEntries {
            let lost = bench.apply(.put(key: "a", value: "2", expected: .value("1")), by: root)
            #expect(lost.code == .conflict)
            #expect(bench.apply(.remove(key: "a"), by: root).code == .notFound)
        }
        #expect(bench.state.auditLog == log)
    }

    @Test func aForbiddenWriteIsStillAnAct() {
        var bench = ClusterBench.founded(by: ClusterBench.root)
        bench.apply(put, by: person(named: "x"))
        #expect(bench.state.auditLog.map(\.what) == ["put a"])
    }

    // MARK: Bytes

    /// As many values of 1 MiB as the store takes.
    private static func full() -> ClusterBench {
        var bench = ClusterBench.founded(by: ClusterBench.root)
        let value = String(repeating: "v", count: (1 << 20) - 3)
        for number in 0..<ClusterState.mostStoredBytes >> 20 {
            let key = "k" + (number < 10 ? "0" : "") + "\(number)"
            #expect(bench.apply(.put(key: key, value: value, expected: nil)).code == .done)
        }
        return bench
    }

    @Test func theStoreIsBoundedInBytes() throws {
        var bench = Self.full()
        #expect(bench.state.valueBytes == ClusterState.mostStoredBytes)
        let refused = bench.apply(.put(key: "b", value: "", expected: nil))
        #expect(refused.code == .invalid)
        #expect(refused.message.contains("at most 64 MiB"))
        #expect(bench.state.values["b"] == nil && bench.state.valueBytes == ClusterState.mostStoredBytes)

        #expect(bench.apply(.put(key: "k00", value: "short", expected: nil)).code == .done, "less is welcome")
        #expect(bench.apply(.put(key: "b", value: "", expected: nil)).code == .done)
        #expect(bench.apply(.remove(key: "k01")).code == .done)
        #expect(bench.state.valueBytes == ClusterState.mostStoredBytes - 2 * (1 << 20) + 8 + 1)
    }

    @Test func aStateThatWasReadCountsItsValuesAnew() throws {
        var bench = ClusterBench.founded(by: ClusterBench.root)
        bench.apply(.put(key: "ü", value: "four", expected: nil))
        #expect(bench.state.valueBytes == 6)
        #expect(try ClusterState(encoded: bench.state.encoded) == bench.state)
    }

    @Test func anOlderClusterIsNotBoundedInBytes() {
        var bench = ClusterBench.founded()
        let value = String(repeating: "v", count: 1 << 20)
        for number in 0...ClusterState.mostStoredBytes >> 20 {
            #expect(bench.apply(.put(key: "k\(number)", value: value, expected: nil)).code == .done)
        }
    }
}
