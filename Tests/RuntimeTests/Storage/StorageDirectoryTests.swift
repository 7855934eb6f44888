// The store on the real file system.

import Consensus
import Glibc
import Testing

@testable import Runtime

/// A directory of its own that disappears with it.
private final class TemporaryDirectory {
    let path: String

    init() throws {
        var template = Array("/tmp/holdfast-store-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw StorageError.failed(operation: "mkdtemp", path: "/tmp", code: errno)
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in (try? DirectoryNames.names(path + "/log")) ?? [] { unlink(path + "/log/" + name) }
        rmdir(path + "/log")
        rmdir(path)
    }
}

private enum DirectoryNames {
    static func names(_ path: String) throws -> [String] {
        let disk = try DirectoryDisk(claiming: path)
        defer { disk.release() }
        return try disk.names()
    }
}

@Suite(.timeLimit(.minutes(2)))
struct StorageDirectoryTests {
    private func open(_ directory: TemporaryDirectory) throws -> (LogStore, RecoveredLog) {
        var options = LogStore.Options()
        options.segmentBytes = 1024 * 1024
        return try LogStore.open(
            directory: directory.path + "/log", cluster: exampleCluster, member: exampleMember, options: options)
    }

    @Test func aHundredThousandEntriesAreReadBack() throws {
        let directory = try TemporaryDirectory()
        let (store, fresh) = try open(directory)
        #expect(fresh.state == LogState())
        store.start { _ in }
        store.write(write(1, hardState: hardState(3, vote: 1, promiseMilliseconds: 320)))
        for batch in UInt64(0)..<1_000 {
            store.write(write(batch + 2, (batch * 100 + 1...batch * 100 + 100).map { entry($0, term: 3, bytes: 200) }))
        }
        #expect(store.close(waitingSeconds: 60))
        let (again, log) = try open(directory)
        again.close()
        #expect(log.notes == [])
        #expect(log.state.hardState == hardState(3, vote: 1, promiseMilliseconds: 320))
        #expect(log.entries.count == 100_000)
        #expect(log.entries.last == entry(100_000, term: 3, bytes: 200))
        #expect(log.entries[54_321] == entry(54_322, term: 3, bytes: 200))
    }

    @Test func aDirectoryInUseIsRefusedByThePidOfItsUser() throws {
        let directory = try TemporaryDirectory()
        let (store, _) = try open(directory)
        #expect(throws: StorageError.locked(directory: directory.path + "/log", processID: getpid())) {
            try open(directory)
        }
        store.close()
        let (again, _) = try open(directory)
        again.close()
    }

    @Test func aRefusedLogLeavesItsDirectoryFree() throws {
        let directory = try TemporaryDirectory()
        let (store, _) = try open(directory)
        store.close()
        #expect(throws: StorageError.self) {
            try LogStore.open(
                directory: directory.path + "/log", cluster: exampleCluster, member: MemberID(rawValue: 5))
        }
        let (again, _) = try open(directory)
        again.close()
    }

    @Test func aMissingParentIsSaidInWords() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/nowhere/log"
        let error = #expect(throws: StorageError.self) {
            try LogStore.open(directory: path, cluster: exampleCluster, member: exampleMember)
        }
        #expect(error?.description.contains("creating of \(path) failed: No such file or directory") == true)
    }
}
