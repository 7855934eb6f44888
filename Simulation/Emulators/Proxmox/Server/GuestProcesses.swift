// Real processes behind guests, so that somebody who looks for QEMU processes finds some, and can end them. The usual
// stand-in is this program under the name `kvm` with `-id N`, as /proc shows the real one; it does nothing and ends when
// the emulator does. A file `N.pid` stands beside it, as in /run/qemu-server.

import Foundation
import Synchronization

/// The processes of a host's guests.
public final class GuestProcesses: Sendable {
    /// Where the pid files are.
    public let folder: String
    private let command: [String]
    private let running = Mutex<[GuestID: Process]>([:])

    /// - Parameters:
    ///   - folder: in place of /run/qemu-server.
    ///   - command: a program and its arguments, with {vmid} and {node} in them; nil for a stand-in that does nothing.
    ///   - program: this program, which the stand-in is.
    /// - Throws: when the folder cannot be made.
    public init(folder: String, command: [String]?, program: String) throws {
        self.folder = folder
        let manager = FileManager.default
        try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in try manager.contentsOfDirectory(atPath: folder) where name.hasSuffix(".pid") {
            try manager.removeItem(atPath: "\(folder)/\(name)")
        }
        if let command {
            self.command = command
        } else {
            let link = "\(folder)/kvm"
            if manager.fileExists(atPath: link) { try manager.removeItem(atPath: link) }
            try manager.createSymbolicLink(atPath: link, withDestinationPath: program)
            self.command = [link, "-id", "{vmid}", "-name", "{node}-{vmid}"]
        }
    }

    /// - Parameters:
    ///   - isIncoming: the guest runs on another host still; `{incoming}` in the command is 1, else 0.
    ///   - ended: called with the process's number when it ends.
    /// - Returns: the process's number; nil when it could not be started.
    func start(_ guest: GuestID, node: String, isIncoming: Bool, ended: @escaping @Sendable (Int) -> Void) -> Int? {
        let words = command.map {
            $0.replacing("{vmid}", with: String(guest.vmid)).replacing("{node}", with: node)
                .replacing("{incoming}", with: isIncoming ? "1" : "0")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: words[0])
        process.arguments = Array(words.dropFirst())
        // Its input ends when the emulator does, and with it the process.
        process.standardInput = Pipe()
        let file = pidFile(guest)
        process.terminationHandler = { process in
            self.running.withLock { running in
                guard running[guest]?.processIdentifier == process.processIdentifier else { return }
                running[guest] = nil
                unlink(file)
            }
            ended(Int(process.processIdentifier))
        }
        do { try process.run() } catch {
            FileHandle.standardError.write(Data("\(words[0]) not started for \(guest): \(error)\n".utf8))
            return nil
        }
        let pid = Int(process.processIdentifier)
        running.withLock { $0[guest] = process }
        try? Data("\(pid)\n".utf8).write(to: URL(fileURLWithPath: file))
        return pid
    }

    func stop(_ guest: GuestID) {
        guard let process = running.withLock({ $0.removeValue(forKey: guest) }) else { return }
        unlink(pidFile(guest))
        kill(process.processIdentifier, SIGKILL)
    }

    func endAll() {
        for guest in running.withLock({ Array($0.keys) }) { stop(guest) }
    }

    private func pidFile(_ guest: GuestID) -> String { "\(folder)/\(guest.vmid).pid" }

    /// What the stand-in does: waits for the end of its input.
    public static func standIn() {
        var byte: UInt8 = 0
        while read(STDIN_FILENO, &byte, 1) > 0 {}
    }
}
