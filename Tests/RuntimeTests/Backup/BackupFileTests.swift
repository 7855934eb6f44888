// A backup opens with its own key, whole, or not at all and in words.

import Cluster
import Consensus
import FoundationEssentials
import Testing

@testable import Runtime

private let key = BackupKey.passphrase(Array("correct horse battery staple".utf8))

private func example() -> Backup {
    var state = ClusterState()
    func apply(_ command: Command, _ request: UInt64) {
        _ = state.apply(
            CommandRecord(
                stamp: RequestStamp(session: 1, request: request, settled: 0), milliseconds: 1, actor: "tester",
                command: command))
    }
    let member = MemberRecord(
        id: MemberID(rawValue: 7), name: "pve1", kind: .host, peerEndpoint: "a:1", apiEndpoint: "a:2", version: "1")
    apply(.bootstrap(clusterName: "home", member: member), 1)
    apply(.put(key: "motd", value: "a secret of some length", expected: nil), 2)
    apply(
        .apply(
            declarations: [Declaration(kind: "VirtualIP", name: "dns", spec: ["address": "192.168.1.2/24"])],
            checkRevision: nil), 3)
    return Backup(
        manifest: BackupManifest(
            cluster: "c1", clusterName: "home", revision: state.revision, level: state.level, version: "1",
            takenMilliseconds: 5),
        encodedState: state.encoded)
}

private func sealed(_ key: BackupKey = key) throws -> [UInt8] {
    try BackupFile.seal(example(), with: key, logRounds: 10)
}

@Suite struct BackupFileTests {
    @Test func aFolderTellsItsBackupsTheNewestFirstAndWhatIsWrongWithThem() throws {
        let own = BackupKey.file([UInt8](repeating: 1, count: 32))
        let folder = FileManager.default.temporaryDirectory.path + "/backups-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func put(_ name: String, _ bytes: [UInt8]) throws {
            try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
        }
        var later = example()
        later.manifest.takenMilliseconds = 9
        try put("b.older", BackupFile.seal(example(), with: own))
        try put("a.newer", BackupFile.seal(later, with: own))
        try put("c.cut", Array(BackupFile.seal(example(), with: own).dropLast()))
        try put("d.passphrase", sealed())
        try put("e.short", Array("HFBACKUP".utf8))
        try put("notes.txt", Array("HFBACK".utf8))
        try put("empty", [])
        try FileManager.default.createDirectory(atPath: folder + "/HFBACKUP", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: folder + "/b.older")

        let found = try BackupFile.list(in: folder, with: own)
        #expect(
            found.map { $0.path.dropFirst(folder.count + 1) } == [
                "a.newer", "b.older", "c.cut", "d.passphrase", "e.short",
            ])
        #expect(found.map(\.isOfPassphrase) == [false, false, false, true, nil])
        #expect(found.map { $0.manifest?.takenMilliseconds } == [9, 5, nil, nil, nil])
        #expect(
            found.map(\.problem) == [
                nil, nil, .damaged("it was cut off or altered after it was made"),
                .wrongKey("it was made with a passphrase: --passphrase-file FILE"),
                .damaged("it was cut off after 8 bytes"),
            ])

        let unopened = try BackupFile.list(in: folder, with: nil)
        #expect(unopened.map { $0.path.dropFirst(folder.count + 1).first } == ["a", "b", "c", "d", "e"])
        #expect(unopened.allSatisfy { $0.manifest == nil && $0.problem == nil && $0.bytes >= 8 })
        #expect(throws: IdentityError.self) { try BackupFile.list(in: folder + "/nowhere", with: nil) }
    }

    @Test func whatWasSealedOpensWithItsKeyAlone() throws {
        let bytes = try sealed()
        let opened = try BackupFile.open(bytes, with: key)
        #expect(opened.manifest == example().manifest)
        #expect(try opened.state() == example().state())
        #expect(throws: BackupError.wrongKey("the passphrase is not the one it was made with")) {
            try BackupFile.open(bytes, with: .passphrase(Array("correct horse battery stable".utf8)))
        }
        #expect(throws: BackupError.wrongKey("it was made with a passphrase: --passphrase-file FILE")) {
            try BackupFile.open(bytes, with: .file([UInt8](repeating: 1, count: 32)))
        }
    }

    @Test func aKeyFileOpensWhatWasMadeWithIt() throws {
        let own = BackupKey.file([UInt8](repeating: 1, count: 32))
        let bytes = try sealed(own)
        #expect(try BackupFile.open(bytes, with: own).manifest.clusterName == "home")
        #expect(throws: BackupError.wrongKey("the key file is not the one it was made with")) {
            try BackupFile.open(bytes, with: .file([UInt8](repeating: 2, count: 32)))
        }
    }

    @Test func nothingOfTheStateIsInTheClear() throws {
        let text = String(decoding: try sealed().map { $0 < 128 ? $0 : 63 }, as: UTF8.self)
        for word in ["home", "motd", "secret", "pve1", "VirtualIP", "manifest"] { #expect(!text.contains(word)) }
    }

    @Test func twoBackupsOfOneStateHaveNothingInCommon() throws {
        let (one, other) = (try sealed(), try sealed())
        #expect(one.count == other.count)
        #expect(one[16...] != other[16...])
    }

    @Test func aBackupCutAnywhereIsRefusedInWords() throws {
        let bytes = try sealed()
        for length in stride(from: 0, to: bytes.count, by: 7) {
            do {
                _ = try BackupFile.open(Array(bytes[..<length]), with: key)
                Issue.record("\(length) bytes of \(bytes.count) were taken")
            } catch {
                let words = error.description
                #expect(words.contains("cut off") || words.contains("does not begin as one does"), "\(words)")
            }
        }
        #expect(throws: BackupError.self) { try BackupFile.open(bytes + [0], with: key) }
    }

    @Test func aBackupWithAnyByteAlteredIsRefused() throws {
        let bytes = try sealed()
        for place in 0..<bytes.count where place < 80 || place % 11 == 0 {
            var altered = bytes
            altered[place] ^= 0x01
            #expect(throws: BackupError.self, "byte \(place)") { try BackupFile.open(altered, with: key) }
        }
    }

    /// A header may ask for any amount of memory; only sane ones are given.
    @Test func aHeaderThatAsksForTooMuchIsRefusedAtOnce() throws {
        var bytes = try sealed()
        for rounds in [0, 9, 20, 31, 63, 255] as [UInt8] {
            bytes[10] = rounds
            #expect(throws: BackupError.damaged("the way to its key is none that this program takes")) {
                try BackupFile.open(bytes, with: key)
            }
        }
        bytes = try sealed()
        bytes[8] = 2
        #expect(throws: BackupError.newer("it has the format 2")) { try BackupFile.open(bytes, with: key) }
    }

    @Test func aFileIsNeverWrittenOver() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "hf-backup-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/b"
        try BackupFile.write(try sealed(), to: path)
        #expect(throws: IdentityError.self) { try BackupFile.write(try sealed(), to: path) }
        try BackupFile.makeKeyFile(at: folder + "/k")
        guard case .file(let bytes) = try BackupFile.keyFile(at: folder + "/k") else {
            Issue.record("a key file is no key")
            return
        }
        #expect(bytes.count == 32)
        #expect(throws: IdentityError.self) { try BackupFile.makeKeyFile(at: folder + "/k") }
        try PrivateFile.write(Array("short\n".utf8), to: folder + "/p", mode: 0o600)
        #expect(throws: IdentityError.self) { try BackupFile.passphrase(at: folder + "/p") }
    }

    /// The cost that is used for real, once: it must fit into the memory that the library allows.
    @Test func theRealCostOpensToo() throws {
        let bytes = try BackupFile.seal(example(), with: key)
        #expect(bytes[10] == BackupFile.logRounds)
        #expect(try BackupFile.open(bytes, with: key).manifest.clusterName == "home")
    }
}

@Suite struct RestoredLogTests {
    @Test func theFounderOfARestoredClusterBeginsWithTheState() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "hf-restored-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (cluster, member) = (ClusterID(rawValue: 0xC2), MemberID(rawValue: 9))
        let state = try example().state().forNewCluster("from a backup", milliseconds: 7)
        try await RestoredLog.write(state, directory: folder + "/log", cluster: cluster, member: member)
        let (store, recovered) = try LogStore.open(directory: folder + "/log", cluster: cluster, member: member)
        store.close()
        let snapshot = try #require(recovered.snapshot)
        #expect(recovered.entries.isEmpty)
        #expect(snapshot.mark.configuration.voters == [member])
        #expect(try ClusterState(encoded: snapshot.bytes) == state)
        await #expect(throws: RestoredLogError.self) {
            try await RestoredLog.write(state, directory: folder + "/log", cluster: cluster, member: member)
        }
    }
}
