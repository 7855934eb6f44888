// A folder that stands for /etc/pve. What is renamed, written or removed in it is taken into the model before the next
// request is answered; what the model has is shown in it. Without a quorum it cannot be written:
//
// - as a mount of its own it is remounted read-only, which holds for root too (`rename` fails with EROFS);
// - without the right to mount, its folders lose their write permission, which root does not feel. What root does then is
//   put back, and noted.
//
// It sees names, sizes and times of files. An edit that changes neither is not seen.

import Foundation
import Synchronization

/// A change that somebody made in the folder.
enum DirectoryChange: CustomStringConvertible {
    case renamed(String, String)
    /// nil: removed.
    case written(String, String?)

    var description: String {
        switch self {
        case .renamed(let from, let target): "rename \(from) \(target)"
        case .written(let path, let content): content == nil ? "remove \(path)" : "write \(path)"
        }
    }
}

/// A folder in place of /etc/pve.
public final class PveDirectory: Sendable {
    private struct Seen: Equatable {
        var content: String
        var stamp: Stamp
    }

    private struct Stamp: Equatable {
        var size: Int64
        var seconds: Int64
        var nanoseconds: Int64
    }

    private struct State {
        var files: [String: Seen] = [:]
        /// What the last look saw, or was written since. What differs from it came after that look, and nobody has judged it yet.
        var looked: [String: Stamp] = [:]
        var isWritable: Bool?
        var wasChanged = true
    }

    /// What clients look at.
    public let path: String
    /// Where the emulator writes.
    private let backing: String
    private let isMounted: Bool
    private let state = Mutex(State())

    /// - Parameters:
    ///   - path: made when it is not there; emptied of an earlier emulator's files.
    ///   - mounts: whether to make it a mount of its own. Needs the right to mount.
    /// - Throws: `PveDirectoryError`.
    public init(path: String, mounts: Bool = false) throws {
        self.path = path
        isMounted = mounts
        backing = mounts ? path + ".backing" : path
        do {
            for folder in Set([path, backing]) {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            }
            let nodes = backing + "/nodes"
            if FileManager.default.fileExists(atPath: nodes) {
                Self.allowWriting(below: nodes)
                try FileManager.default.removeItem(atPath: nodes)
            }
        } catch {
            throw PveDirectoryError(description: "make \(path): \(error.localizedDescription)")
        }
        guard mounts else { return }
        guard mount(backing, path, nil, UInt(MS_BIND), nil) == 0 else {
            throw PveDirectoryError(
                description: "mount \(backing) on \(path): \(String(cString: strerror(errno))); "
                    + "run it as root in a mount namespace of its own, or without --pve-mount")
        }
    }

    /// Somebody changed something, and it has not been shown anew.
    var wasChanged: Bool { state.withLock { $0.wasChanged } }

    func close() { if isMounted { umount2(path, Int32(MNT_DETACH)) } }

    // MARK: Looking

    /// What was changed since the last look. A change not accepted is undone by `show`. A look that fails says nothing of what is
    /// there, and so nothing was changed.
    func changes() -> [DirectoryChange] {
        state.withLock { state in
            do { return try changes(&state) } catch {
                Self.complain("\(backing) not looked at: \(error)")
                return []
            }
        }
    }

    private func changes(_ state: inout State) throws -> [DirectoryChange] {
        let present = try wholeLook(at: state.files.keys.filter { $0.hasPrefix("nodes/") })
        var gone = state.files.keys.filter { $0.hasPrefix("nodes/") && present[$0] == nil }.sorted()
        var found: [DirectoryChange] = []
        for (path, stamp) in present.sorted(by: { $0.key < $1.key }) {
            guard state.files[path]?.stamp != stamp else { continue }
            let content = try read(path)
            if state.files[path] == nil,
                let from = gone.firstIndex(where: {
                    Self.name($0) == Self.name(path) && state.files[$0]?.content == content
                })
            {
                found.append(.renamed(gone.remove(at: from), path))
            } else if state.files[path]?.content != content {
                found.append(.written(path, content))
            } else {
                state.files[path]?.stamp = stamp
            }
        }
        found += gone.map { .written($0, nil) }
        state.looked = present
        if !found.isEmpty { state.wasChanged = true }
        return found
    }

    /// The model has taken a change; it stays.
    func accepted(_ change: DirectoryChange) {
        state.withLock { state in
            switch change {
            case .renamed(let from, let target):
                state.files[target] = state.files.removeValue(forKey: from)
                if let stamp = state.looked[target] { state.files[target]?.stamp = stamp }
            case .written(let path, let content):
                state.files[path] = content.flatMap { text in state.looked[path].map { Seen(content: text, stamp: $0) }
                }
            }
        }
    }

    private static func name(_ path: String) -> Substring { path.split(separator: "/").last ?? "" }

    private func read(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(backing)/\(path)")), as: UTF8.self)
    }

    private func stamp(_ path: String) -> Stamp? {
        var status = stat()
        guard stat("\(backing)/\(path)", &status) == 0 else { return nil }
        return Stamp(
            size: Int64(status.st_size), seconds: Int64(status.st_mtim.tv_sec),
            nanoseconds: Int64(status.st_mtim.tv_nsec))
    }

    /// A look that saw every file once. One that is renamed while a look goes from folder to folder may be found in both, or in
    /// neither; the next look finds it where it is. One that stays in two places or in none was put there.
    private func wholeLook(at known: [String]) throws -> [String: Stamp] {
        var present = try stamps()
        for _ in 0..<Self.mostLooks {
            let isTwice = Set(present.keys.map(Self.name)).count < present.count
            guard isTwice || known.contains(where: { present[$0] == nil }) else { break }
            let next = try stamps()
            if next.keys == present.keys { break }
            present = next
        }
        return present
    }

    private static let mostLooks = 8

    private func stamps() throws -> [String: Stamp] {
        var found: [String: Stamp] = [:]
        for node in try names(in: "nodes") {
            for kind in GuestKind.allCases {
                let folder = "nodes/\(node)/\(kind.folder)"
                for name in try names(in: folder) where name.hasSuffix(".conf") {
                    found["\(folder)/\(name)"] = stamp("\(folder)/\(name)")
                }
            }
        }
        return found
    }

    /// What is in a folder. One that is not there has nothing in it; one that cannot be read may have anything.
    private func names(in folder: String) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: "\(backing)/\(folder)")
        } catch {
            var status = stat()
            guard stat("\(backing)/\(folder)", &status) != 0, errno == ENOENT else { throw error }
            return []
        }
    }

    // MARK: Showing

    /// Makes the folder show these files. What was changed in it after the last look is left for the next one to judge.
    func show(_ files: [String: String], isWritable: Bool) {
        state.withLock { state in
            if isMounted == false, state.isWritable == false { setWritable(true) }
            do { state.wasChanged = try show(files, &state) == false } catch {
                Self.complain("\(backing) not brought up to date: \(error)")
                state.wasChanged = true
            }
            if state.isWritable != isWritable || !isMounted { setWritable(isWritable) }
            state.isWritable = isWritable
        }
    }

    /// - Returns: whether all of it is shown.
    private func show(_ files: [String: String], _ state: inout State) throws -> Bool {
        var isWhole = true
        let present = try stamps()
        for (path, stamp) in present where files[path] == nil {
            guard state.looked[path] == stamp else {
                isWhole = false
                continue
            }
            unlink("\(backing)/\(path)")
            state.files[path] = nil
            state.looked[path] = nil
        }
        for (path, content) in files {
            let isGuest = path.hasPrefix("nodes/")
            guard !isGuest || state.looked[path] == present[path] else {
                isWhole = false
                continue
            }
            let seen = state.files[path]
            guard seen?.content != content || (isGuest && seen?.stamp != present[path]) else { continue }
            guard write(path, content, replacing: isGuest ? present[path] : nil) else {
                isWhole = false
                continue
            }
            guard let stamp = stamp(path) else { continue }
            state.files[path] = Seen(content: content, stamp: stamp)
            if isGuest { state.looked[path] = stamp }
        }
        for path in state.files.keys where files[path] == nil { state.files[path] = nil }
        return isWhole
    }

    /// - Parameter stamp: of the file that is to be changed where it is: one that is taken away in this moment stays away. Nil:
    ///   there is none.
    private func write(_ path: String, _ content: String, replacing stamp: Stamp?) -> Bool {
        let whole = "\(backing)/\(path)"
        let folder = URL(fileURLWithPath: whole).deletingLastPathComponent().path
        let draft = whole + ".new"
        do {
            for kind in GuestKind.allCases where path.hasPrefix("nodes/") {
                let node = path.split(separator: "/")[1]
                try FileManager.default.createDirectory(
                    atPath: "\(backing)/nodes/\(node)/\(kind.folder)", withIntermediateDirectories: true)
            }
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Data(content.utf8).write(to: URL(fileURLWithPath: draft))
        } catch {
            Self.complain("\(whole) not written: \(error)")
            return false
        }
        if let stamp {
            let isExchanged = exchange(draft, whole)
            let reason = errno
            // Somebody has written it since the look: that is put back, for the next look.
            let isTheirs = isExchanged && self.stamp(path + ".new") != stamp
            if isTheirs { _ = exchange(draft, whole) }
            unlink(draft)
            if isTheirs { return false }
            if !isExchanged, reason != ENOENT {
                Self.complain("\(whole) not replaced: \(String(cString: strerror(reason)))")
            }
            return isExchanged
        }
        guard rename(draft, whole) == 0 else {
            Self.complain("\(whole) not written: \(String(cString: strerror(errno)))")
            return false
        }
        return true
    }

    private func exchange(_ one: String, _ other: String) -> Bool {
        Self.renameat2?(AT_FDCWD, one, AT_FDCWD, other, Self.both) == 0
    }

    private typealias Exchange =
        @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
    /// renameat2(2), which the imported headers of the C library do not show.
    private static let renameat2 = unsafeBitCast(dlsym(nil, "renameat2"), to: Exchange?.self)
    /// RENAME_EXCHANGE: both have to be there.
    private static let both: UInt32 = 2

    private static func complain(_ what: String) { FileHandle.standardError.write(Data("\(what)\n".utf8)) }

    private func setWritable(_ isWritable: Bool) {
        if isMounted {
            let flags = UInt(MS_REMOUNT) | UInt(MS_BIND) | (isWritable ? 0 : UInt(MS_RDONLY))
            if mount(nil, path, nil, flags, nil) != 0 {
                FileHandle.standardError.write(Data("\(path) not remounted: errno \(errno)\n".utf8))
            }
            return
        }
        let manager = FileManager.default
        for node in (try? manager.contentsOfDirectory(atPath: "\(backing)/nodes")) ?? [] {
            for kind in GuestKind.allCases {
                chmod("\(backing)/nodes/\(node)/\(kind.folder)", isWritable ? 0o755 : 0o555)
            }
        }
    }

    private static func allowWriting(below nodes: String) {
        for node in (try? FileManager.default.contentsOfDirectory(atPath: nodes)) ?? [] {
            for kind in GuestKind.allCases { chmod("\(nodes)/\(node)/\(kind.folder)", 0o755) }
        }
    }
}

/// Why there is no folder for /etc/pve.
public struct PveDirectoryError: Error, CustomStringConvertible {
    public let description: String
}
