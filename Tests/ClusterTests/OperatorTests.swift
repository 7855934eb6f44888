// People: what their role allows, how it is taken away, and what is remembered of their acts.

import Consensus
import Testing

@testable import Cluster

@Suite struct OperatorTests {
    private func person(
        _ role: OperatorRole, named name: String = "alice", key: String = "k1", needs: OperatorRole = .operator
    ) -> CommandOrigin {
        CommandOrigin(name: name, role: role, key: key, needs: needs, reason: "because")
    }

    private func newcomer(
        _ name: String = "alice", _ role: OperatorRole = .operator, key: String = "k1", expires: Int64 = 9_000
    ) -> OperatorRecord {
        OperatorRecord(name: name, role: role, key: key, certificateExpires: expires)
    }

    private let put = Command.put(key: "a", value: "1", expected: nil)

    @Test func aNameThatIsNotKnownActsByItsCertificate() {
        var bench = ClusterBench.founded()
        #expect(bench.apply(put, by: person(.admin, named: "admin")).code == .done)
        let refused = bench.apply(put, by: person(.viewer, named: "bob"))
        #expect(refused.code == .forbidden)
        #expect(refused.message == "this needs the role operator; bob has viewer")
    }

    @Test func aRevokedOperatorIsRefusedFromThatEntryOn() {
        var bench = ClusterBench.founded()
        bench.apply(.admitOperator(newcomer()))
        #expect(bench.apply(put, by: person(.operator)).code == .done)
        #expect(bench.apply(.revokeOperator(name: "alice")).code == .done)
        let refused = bench.apply(put, by: person(.operator))
        #expect(refused.code == .forbidden && refused.message.contains("revoked"))
        #expect(bench.apply(.revokeOperator(name: "alice")).code == .unchanged)
    }

    @Test func revokingWorksForANameThatWasNeverAdmitted() {
        var bench = ClusterBench.founded()
        bench.apply(.revokeOperator(name: "admin"))
        #expect(bench.apply(put, by: person(.admin, named: "admin")).code == .forbidden)
    }

    @Test func aNewCertificateOfTheSameNameReplacesTheOldOne() {
        var bench = ClusterBench.founded()
        bench.apply(.admitOperator(newcomer()))
        bench.apply(.revokeOperator(name: "alice"))
        bench.apply(.admitOperator(newcomer(key: "k2")))
        #expect(bench.apply(put, by: person(.operator, key: "k2")).code == .done)
        let refused = bench.apply(put, by: person(.operator, key: "k1"))
        #expect(refused.code == .forbidden && refused.message.contains("replaced"))
    }

    @Test func neitherTheCertificateNorTheTableGivesMoreThanTheOther() {
        var bench = ClusterBench.founded()
        bench.apply(.admitOperator(newcomer("alice", .viewer)))
        #expect(bench.apply(put, by: person(.admin)).code == .forbidden, "the table says viewer")
        bench.apply(.admitOperator(newcomer("alice", .admin)))
        #expect(bench.apply(put, by: person(.viewer)).code == .forbidden, "the certificate says viewer")
    }

    @Test func theTableIsBoundedAndForgetsWhatHasEnded() {
        var bench = ClusterBench.founded()
        for number in 0..<ClusterState.mostOperators { bench.apply(.admitOperator(newcomer("n\(number)"))) }
        #expect(bench.apply(.admitOperator(newcomer("more"))).code == .invalid)
        #expect(bench.apply(.revokeOperator(name: "unknown")).code == .invalid)
        #expect(bench.apply(.admitOperator(newcomer("n3", key: "k2"))).code == .done, "known already")
        bench.apply(.revokeOperator(name: "n7"))
        bench.milliseconds = 9_001
        #expect(bench.apply(.admitOperator(newcomer("more"))).code == .done)
        #expect(bench.state.operators["n7"] == nil)
        #expect(bench.state.operators["n8"] != nil, "its certificate has ended, but it was not revoked")
    }

    // MARK: The audit log

    @Test func everyActOfAPersonIsRememberedWithItsOutcome() throws {
        var bench = ClusterBench.founded()
        bench.apply(.delete(keys: [ClusterBench.api], checkRevision: nil), by: person(.operator))
        bench.apply(.delete(keys: [ClusterBench.api], checkRevision: nil), by: person(.viewer, named: "bob"))
        bench.apply(.revokeOperator(name: "alice"), by: person(.admin, named: "admin", needs: .admin))
        let log = bench.state.auditLog
        #expect(log.map(\.id) == [1, 2, 3])
        #expect(log.map(\.who) == ["alice", "bob", "admin"])
        #expect(log.map(\.what) == ["delete VirtualIP/api", "delete VirtualIP/api", "revoke alice"])
        #expect(log.map(\.outcome) == [.done, .forbidden, .done])
        #expect(log[0].reason == "because" && log[0].milliseconds == 1_000 && log[0].role == .operator)
        #expect(log[1].message.contains("needs the role operator"))
    }

    @Test func whatMembersDoByThemselvesIsNotAnAct() {
        var bench = ClusterBench.founded()
        bench.assign(to: ClusterBench.pve1)
        #expect(bench.state.auditLog.isEmpty)
    }

    @Test func valuesAreDataButAForbiddenWriteIsAnAct() {
        var bench = ClusterBench.founded()
        bench.apply(put, by: person(.operator))
        #expect(bench.state.auditLog.isEmpty)
        bench.apply(put, by: person(.viewer, named: "bob"))
        #expect(bench.state.auditLog.map(\.what) == ["put a"])
    }

    @Test func aRetriedRequestIsOneAct() {
        var bench = ClusterBench.founded()
        let stamp = RequestStamp(session: 77, request: 1, settled: 0)
        let record = CommandRecord(
            stamp: stamp, milliseconds: 1, actor: "alice", origin: person(.admin), command: .act(what: "look"))
        #expect(bench.state.apply(record) == bench.state.apply(record))
        #expect(bench.state.auditLog.count == 1)
    }

    @Test func theAuditLogIsARing() {
        var bench = ClusterBench.founded()
        let long = String(repeating: "x", count: 5_000)
        for _ in 0...ClusterState.mostAuditEntries { bench.apply(.act(what: long), by: person(.operator)) }
        #expect(bench.state.auditLog.count == ClusterState.mostAuditEntries)
        #expect(bench.state.auditLog.first?.id == 2)
        #expect(bench.state.auditLog.first?.what.count == ClusterState.mostAuditCharacters)
    }

    @Test func aManyFoldApplyIsNamedInOneLine() {
        let declarations = (1...7).map { Declaration(kind: "VirtualIP", name: "a\($0)", spec: [:]) }
        #expect(
            Command.apply(declarations: declarations, checkRevision: nil).words
                == "apply VirtualIP/a1, VirtualIP/a2, VirtualIP/a3, VirtualIP/a4, VirtualIP/a5 and 2 more")
    }

    @Test func aRecordThatAnOlderVersionWroteIsRead() throws {
        let text =
            #"{"actor":"alice","command":{"apply":{"declarations":[]}},"milliseconds":5,"#
            + #""stamp":{"request":1,"session":2,"settled":0}}"#
        let record = try CanonicalJSON.decode(CommandRecord.self, from: Array(text.utf8))
        #expect(record.origin == nil)
        #expect(record.command == .apply(declarations: [], checkRevision: nil, trialMilliseconds: nil))
    }
}
