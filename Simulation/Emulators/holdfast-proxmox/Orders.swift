// Orders for a running host: faults by the control socket, and the host's own commands pvecm, qm and pct.

import ArgumentParser
import Foundation
import ProxmoxEmulator

struct ControlCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "control", abstract: "Give an order to a running host.",
        discussion: """
            The order is a JSON object with a "command": status, hang, clear, answer, cut, half, slow, fail-task,
            delay-task, lock, unlock, hold-lock, storage, behaviour, crash, start-by-hand, local-mode, revoke, restore,
            add-token, add-storage, add-guest, remove-file, expire-certificate, renew-certificate, leave.
            DESIGN.md has their fields.
            """)

    @Option(help: "The host's control socket.") var control: String
    @Argument(help: "The order, e.g. '{\"command\": \"hang\", \"seconds\": 30}'.") var order: String

    func run() throws {
        let reply = try ControlSocket.ask(path: control, try JSON(text: order))
        print(reply.serialized)
        if reply["error"] != nil { throw ExitCode(2) }
    }
}

/// What pvecm, qm and pct have in common: their words go to the host, its output comes back.
protocol ProxmoxCommand: ParsableCommand {
    var control: String? { get }
    var words: [String] { get }
    static var program: String { get }
}

extension ProxmoxCommand {
    func run() throws {
        guard let path = control ?? ProcessInfo.processInfo.environment["HOLDFAST_PROXMOX_CONTROL"] else {
            throw ValidationError("give --control SOCKET, or set HOLDFAST_PROXMOX_CONTROL")
        }
        let sent = ([Self.program] + words).map(JSON.string)
        let reply = try ControlSocket.ask(path: path, ["command": "run", "words": .array(sent)])
        if let error = reply["error"]?.string { throw ValidationError(error) }
        FileHandle.standardOutput.write(Data((reply["out"]?.string ?? "").utf8))
        FileHandle.standardError.write(Data((reply["err"]?.string ?? "").utf8))
        let code = Int32(reply["code"]?.integer ?? 255)
        if code != 0 { throw ExitCode(code) }
    }
}

struct Pvecm: ProxmoxCommand {
    static let configuration = CommandConfiguration(commandName: "pvecm", abstract: "pvecm status, nodes, expected N.")
    static let program = "pvecm"
    @Option(help: "The host's control socket; HOLDFAST_PROXMOX_CONTROL without it.") var control: String?
    @Argument(parsing: .captureForPassthrough) var words: [String] = []
}

struct Qm: ProxmoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "qm", abstract: "qm list, status, config, start, stop, shutdown, set, migrate, unlock, ...")
    static let program = "qm"
    @Option(help: "The host's control socket; HOLDFAST_PROXMOX_CONTROL without it.") var control: String?
    @Argument(parsing: .captureForPassthrough) var words: [String] = []
}

struct Pct: ProxmoxCommand {
    static let configuration = CommandConfiguration(commandName: "pct", abstract: "As qm, for containers.")
    static let program = "pct"
    @Option(help: "The host's control socket; HOLDFAST_PROXMOX_CONTROL without it.") var control: String?
    @Argument(parsing: .captureForPassthrough) var words: [String] = []
}

/// `ceph` and `rbd`: their configuration's file is the shared storage's.
protocol CephProgram: ParsableCommand {
    var words: [String] { get }
    static var program: String { get }
}

extension CephProgram {
    func run() throws {
        var words = words
        var file = ProcessInfo.processInfo.environment["HOLDFAST_PROXMOX_SHARED"]
        for option in ["--conf", "--id", "--keyring"] {
            while let place = words.firstIndex(of: option), place + 1 < words.count {
                if option == "--conf" { file = words[place + 1] }
                words.removeSubrange(place...(place + 1))
            }
        }
        guard let file else { throw ValidationError("give --conf FILE, or set HOLDFAST_PROXMOX_SHARED") }
        let outcome = SharedVolumes(file: file).ceph([Self.program] + words) { seconds in
            Date(timeIntervalSinceNow: Double(seconds)).ISO8601Format()
        }
        FileHandle.standardOutput.write(Data(outcome.output.utf8))
        FileHandle.standardError.write(Data(outcome.errors.utf8))
        if outcome.code != 0 { throw ExitCode(outcome.code) }
    }
}

struct Ceph: CephProgram {
    static let configuration = CommandConfiguration(
        commandName: "ceph", abstract: "ceph osd blocklist add|rm, ceph osd dump, on the shared storage's file.")
    static let program = "ceph"
    @Argument(parsing: .captureForPassthrough) var words: [String] = []
}

struct Rbd: CephProgram {
    static let configuration = CommandConfiguration(
        commandName: "rbd", abstract: "rbd status POOL/IMAGE, on the shared storage's file.")
    static let program = "rbd"
    @Argument(parsing: .captureForPassthrough) var words: [String] = []
}
