// The folder a lab lives in: its control socket, its logs, and each node's data. Several labs stand side by side in
// folders of their own. It is created by `up` and removed by `down`; nothing outside it is ever written.

import ArgumentParser
import FoundationEssentials
import Glibc

/// Paths of one lab.
struct LabDirectory: Sendable {
    let path: String

    /// `$XDG_RUNTIME_DIR/holdfast-lab`, or `/tmp/holdfast-lab-UID`.
    static var usual: LabDirectory {
        if let runtime = environment("XDG_RUNTIME_DIR"), access(runtime, W_OK) == 0 {
            return LabDirectory(path: "\(runtime)/holdfast-lab")
        }
        return LabDirectory(path: "/tmp/holdfast-lab-\(getuid())")
    }

    /// Present in every lab's folder, so that `down` removes nothing that is not a lab.
    var marker: String { "\(path)/holdfast-lab.lock" }
    var socket: String { "\(path)/control.sock" }
    var keeperLog: String { "\(path)/keeper.log" }
    /// The administrator's context that `holdfast cluster init` writes.
    var context: String { "\(path)/config.yaml" }

    func folder(of node: String) -> String { "\(path)/nodes/\(node)" }
    func data(of node: String) -> String { "\(folder(of: node))/data" }
    func agentLog(of node: String) -> String { "\(folder(of: node))/agent.log" }
    /// Requests to the emulated Proxmox of a host that change something, with when they came.
    func accessLog(of host: String) -> String { "\(folder(of: host))/access.log" }
    func watchdogLog(of host: String) -> String { "\(folder(of: host))/watchdog.log" }
    /// In place of /run/watchdog-mux.sock.
    func watchdogSocket(of host: String) -> String { "\(path)/\(host).watchdog" }
    func emulatorLog(of host: String) -> String { "\(folder(of: host))/proxmox.log" }
    /// What both hosts reach, whatever happens to the network: the emulated storage's images, and what guests write.
    var sharedFolder: String { "\(path)/shared" }
    var sharedStorage: String { "\(sharedFolder)/images.json" }
    func disk(of guest: String) -> String { "\(sharedFolder)/disks/\(guest)" }
    /// What an agent writes last of its identity: with it, it is a member.
    func identity(of node: String) -> String { "\(data(of: node))/identity/member.json" }

    /// Makes the folders. A folder with foreign things in it is refused.
    func create(nodes: [String]) throws {
        guard socket.utf8.count < 108 else {
            throw LabError(
                "the lab's folder \(path) is too long a path for a unix socket (at most 90 bytes); give --dir")
        }
        if Executables.isDirectory(path), access(marker, F_OK) != 0, try contents().isEmpty == false {
            throw LabError("\(path) is not empty and not a lab's folder; give another one with --dir")
        }
        do {
            let files = FileManager.default
            for node in nodes {
                try files.createDirectory(atPath: folder(of: node), withIntermediateDirectories: true)
            }
            try files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
        } catch {
            throw LabError("create the lab's folder \(path): \(error); give another one with --dir")
        }
        try touch(marker)
    }

    func contents() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path) }

    /// Removes the lab's folder with all data in it. Nothing happens where no lab is.
    func remove() throws {
        guard access(marker, F_OK) == 0 else { return }
        do { try FileManager.default.removeItem(atPath: path) } catch {
            throw LabError("remove the lab's folder \(path): \(error)")
        }
    }

    /// Removes what the agent of `node` keeps, if it keeps anything.
    func removeData(of node: String) throws {
        let data = data(of: node)
        guard access(data, F_OK) == 0 else { return }
        do { try FileManager.default.removeItem(atPath: data) } catch {
            throw LabError("remove what is left of \(node) in \(data): \(error)")
        }
    }

    func touch(_ file: String) throws {
        _ = try Descriptor(checking: openFile(file, O_CREAT | O_WRONLY), "create \(file)")
    }

    /// Opens `file` for appending, for a log.
    func appending(_ file: String) throws -> Descriptor {
        try Descriptor(checking: openFile(file, O_CREAT | O_WRONLY | O_APPEND), "open \(file)")
    }

    private func openFile(_ file: String, _ flags: Int32) -> Int32 {
        let result = open(file, flags | O_CLOEXEC, 0o600)
        return result < 0 ? -errno : result
    }
}

/// `--dir`, which every command takes.
struct LabOptions: ParsableArguments {
    @Option(name: .customLong("dir"), help: "The lab's folder. Labs in different folders do not see each other.")
    var folder: String?

    var directory: LabDirectory {
        folder.map { LabDirectory(path: Executables.absolute($0)) } ?? .usual
    }
}
