// Administrators that root made on a host, and what becomes of their files when the agent ends at the wrong moment.

import Cluster
import Consensus
import Foundation
import Logging
import Testing

@testable import holdfast

@Suite struct RecoveredOperatorTests {
    private let directory: String
    private let folder: RecoveredOperators
    private let agent = InMemoryAgent(member: MemberID(rawValue: 1), voters: [MemberID(rawValue: 1)])

    init() throws {
        directory = NSTemporaryDirectory() + "holdfast-recovered-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        folder = RecoveredOperators(dataDirectory: directory)
    }

    private var service: RecoveredOperatorsService {
        RecoveredOperatorsService(folder: folder, member: "pve1", access: agent, log: Logger(label: "test"))
    }

    private func newcomer(_ key: String = "k", expires: Int64 = .max) -> OperatorRecord {
        OperatorRecord(name: "recovered-1", role: .admin, key: key, certificateExpires: expires)
    }

    private func look() async -> String? {
        let words = await service.look()
        return words
    }

    @Test func whoWaitsIsAdmittedOnce() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try folder.add(newcomer())
        #expect(await look() == nil)
        #expect(agent.state.operators["recovered-1"]?.key == "k")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    /// The command was committed and the agent ended before the file was gone. Meanwhile an admin has revoked the name.
    @Test func whoWasRevokedIsNotAdmittedAgain() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try folder.add(newcomer())
        agent.apply(.admitOperator(newcomer()))
        agent.apply(.revokeOperator(name: "recovered-1"))
        let revision = agent.state.revision
        #expect(await look() == nil)
        #expect(agent.state.operators["recovered-1"]?.isRevoked == true)
        #expect(agent.state.revision == revision)
        #expect(!folder.isWaiting("recovered-1"))
    }

    /// The same, and the certificate was renewed meanwhile: the file's key is the old one.
    @Test func aRenewedCertificateIsNotReplacedByTheOldOne() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try folder.add(newcomer())
        try folder.noteAskedFor("recovered-1")
        agent.apply(.admitOperator(newcomer("newer")))
        #expect(await look() == nil)
        #expect(agent.state.operators["recovered-1"]?.key == "newer")
        #expect(!folder.isWaiting("recovered-1"))
    }

    @Test func aNameThatRootMakesAnewTakesThePlaceOfTheOldOne() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        agent.apply(.admitOperator(newcomer("older")))
        try folder.add(newcomer())
        try folder.noteAskedFor("recovered-1")
        try folder.add(newcomer())
        #expect(await look() == nil)
        #expect(agent.state.operators["recovered-1"]?.key == "k")
    }

    @Test func withoutAQuorumItWaits() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try folder.add(newcomer())
        agent.set(.noQuorum)
        #expect(await look()?.contains("not admitted yet") == true)
        #expect(folder.isWaiting("recovered-1"))
        agent.set(.serving)
        #expect(await look() == nil)
        #expect(agent.state.operators["recovered-1"] != nil)
    }

    @Test func anExpiredCertificateIsNotAdmitted() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try folder.add(newcomer(expires: 1_000))
        #expect(await look() == nil)
        #expect(agent.state.operators["recovered-1"] == nil)
        #expect(!folder.isWaiting("recovered-1"))
    }
}
