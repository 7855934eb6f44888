// The commands' side of the control socket: asking the keeper, and the way into a node's namespaces from outside.

import CKernel
import Glibc

/// A lab that is up.
struct KeeperClient {
    let directory: LabDirectory
    /// The keeper, as this process numbers it.
    let keeper: pid_t
    let userNamespace: Bool
    /// While it is held, the lab lives; nil for a lab that outlives this process.
    var leash: Descriptor?

    /// - Throws: when no lab is up in the folder, or it is somebody else's.
    init(_ directory: LabDirectory) throws {
        guard let found = try Self.find(directory) else {
            throw LabError("no lab is up in \(directory.path); start one with: holdfast-lab up", exitCode: 5)
        }
        self = found
    }

    /// The lab in `directory`; nil when none is up.
    static func find(_ directory: LabDirectory) throws -> KeeperClient? {
        guard let socket = try LineSocket.connect(to: directory.socket) else { return nil }
        var process: pid_t = 0
        var user: uid_t = 0
        let result = lab_peer(socket.number, &process, &user)
        guard result == 0 else { throw LabError.kernel("ask who keeps \(directory.path)", result) }
        guard user == geteuid() else {
            throw LabError("the lab in \(directory.path) belongs to user \(user); give another --dir", exitCode: 6)
        }
        try LineSocket.send(Request(.status), over: socket)
        let reply = try LineSocket.receive(Reply.self, over: socket, until: .after(milliseconds: 30_000))
        return KeeperClient(
            directory: directory, keeper: process, userNamespace: reply.lab?.userNamespace ?? false)
    }

    private init(directory: LabDirectory, keeper: pid_t, userNamespace: Bool) {
        self.directory = directory
        self.keeper = keeper
        self.userNamespace = userNamespace
    }

    /// Gives one order and waits until it is carried out, at most 60 s.
    @discardableResult
    func ask(_ request: Request) throws -> Reply {
        guard let socket = try LineSocket.connect(to: directory.socket) else {
            throw LabError("the lab in \(directory.path) has gone; see \(directory.keeperLog)", exitCode: 5)
        }
        try LineSocket.send(request, over: socket)
        let reply = try LineSocket.receive(Reply.self, over: socket, until: .after(milliseconds: 60_000))
        if let error = reply.error { throw LabError(error, exitCode: reply.exitCode ?? 2) }
        return reply
    }

    func status() throws -> LabStatus {
        guard let lab = try ask(Request(.status)).lab else { throw LabError("the keeper told no status") }
        return lab
    }

    /// `command`, to be run inside the namespaces of `node` (or of the switch) from outside the lab.
    func inside(_ node: String, _ command: [String]) throws -> [String] {
        let nsenter = try Executables.require("nsenter")
        var way = [nsenter, "--target", "\(keeper)"]
        if userNamespace { way += ["--user", "--preserve-credentials"] }
        way += ["--mount", "--net", "--pid", "--uts"]
        let folder = Executables.currentDirectory()
        guard node != Topology.switchName else { return way + ["--wdns=\(folder)", "--"] + command }
        guard let status = try status().node(node) else { _ = try Topology.homelab.node(node); return [] }
        guard let process = status.process else {
            throw LabError("\(node) has no power; holdfast-lab power-on \(node)", exitCode: 5)
        }
        return way + [
            "--", nsenter, "--target", "\(process)", "--mount", "--net", "--pid", "--uts", "--wdns=\(folder)", "--",
        ]
            + command
    }

    /// Ends the lab and waits until the kernel has taken everything away, at most 20 s.
    func end() throws {
        let process = try Descriptor(checking: lab_process_descriptor(keeper), "watch the keeper")
        try ask(Request(.down))
        guard !waitReadable([process.number], until: .after(milliseconds: 20_000)).isEmpty else {
            throw LabError.timedOut(
                "the keeper (process \(keeper)) did not end within 20 s; kill it with: kill -9 \(keeper)")
        }
    }
}
