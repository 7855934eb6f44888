// The folder that stands for /etc/pve: what is changed in it is never lost, and nothing is changed that was not.

import Foundation
import Testing

@testable import ProxmoxEmulator

@Suite struct PveDirectoryTests {
    private static let here = "nodes/pve1/qemu-server/100.conf"
    private static let there = "nodes/pve2/qemu-server/100.conf"
    private static let third = "nodes/pve1/qemu-server/102.conf"
    private static let other = "nodes/pve2/qemu-server/101.conf"

    private let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path

    /// A folder that shows these files, once looked at.
    private func directory(showing files: [String: String]) throws -> PveDirectory {
        let directory = try PveDirectory(path: path)
        directory.show(files, isWritable: true)
        #expect(directory.changes().isEmpty)
        return directory
    }

    private func has(_ file: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(file)") }

    private func move(_ from: String, _ target: String) {
        #expect(rename("\(path)/\(from)", "\(path)/\(target)") == 0)
    }

    private func removeFolder() { try? FileManager.default.removeItem(atPath: path) }

    @Test func whatIsRenamedAfterALookIsNotUndone() throws {
        defer { removeFolder() }
        var files = [Self.there: "name: web\n", Self.other: "name: db\n", Self.third: "name: x\n"]
        let directory = try directory(showing: files)
        // Between the look and the showing of something else.
        move(Self.there, Self.here)
        files[Self.other] = "name: db\nlock: migrate\n"
        directory.show(files, isWritable: true)
        #expect(has(Self.here) && !has(Self.there))
        #expect(directory.wasChanged, "the next look has to be shown")
        let changes = directory.changes()
        #expect(changes.map(\.description) == ["rename \(Self.there) \(Self.here)"])
        for change in changes { directory.accepted(change) }
        files[Self.here] = files.removeValue(forKey: Self.there)
        directory.show(files, isWritable: true)
        #expect(has(Self.here) && !has(Self.there) && !directory.wasChanged)
        #expect(directory.changes().isEmpty)
    }

    @Test func whatIsRefusedIsUndone() throws {
        defer { removeFolder() }
        let files = [Self.there: "name: web\n", Self.other: "name: db\n", Self.third: "name: x\n"]
        let directory = try directory(showing: files)
        move(Self.there, Self.here)
        try Data("name: worse\n".utf8).write(to: URL(fileURLWithPath: "\(path)/\(Self.other)"))
        #expect(directory.changes().count == 2)
        directory.show(files, isWritable: true)
        #expect(has(Self.there) && !has(Self.here) && !directory.wasChanged)
        #expect(try String(contentsOfFile: "\(path)/\(Self.other)", encoding: .utf8) == "name: db\n")
        #expect(directory.changes().isEmpty)
    }

    @Test func aFolderThatCannotBeReadIsNotAnEmptyOne() throws {
        defer { removeFolder() }
        let files = [Self.there: "name: web\n", Self.third: "name: x\n"]
        let directory = try directory(showing: files)
        let folder = "\(path)/nodes/pve2/qemu-server"
        #expect(rename(folder, folder + ".away") == 0)
        try Data().write(to: URL(fileURLWithPath: folder))
        #expect(directory.changes().isEmpty)
        try FileManager.default.removeItem(atPath: folder)
        #expect(rename(folder + ".away", folder) == 0)
        #expect(directory.changes().isEmpty)
        #expect(has(Self.there))
    }

    @Test func whatIsRemovedIsRemoved() throws {
        defer { removeFolder() }
        var files = [Self.there: "name: web\n", Self.other: "name: db\n"]
        let directory = try directory(showing: files)
        #expect(unlink("\(path)/\(Self.there)") == 0)
        let changes = directory.changes()
        #expect(changes.map(\.description) == ["remove \(Self.there)"])
        for change in changes { directory.accepted(change) }
        files[Self.there] = nil
        directory.show(files, isWritable: true)
        #expect(!has(Self.there) && has(Self.other) && directory.changes().isEmpty)
    }
}
