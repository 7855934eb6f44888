// The containers that run on this host, found without Proxmox, by the control groups the kernel keeps for them; and a way
// to end one whose configuration has gone to another host.

import Consensus
import Glibc

/// Where containers are looked for.
public struct ContainerProcesses: Hashable, Sendable {
    /// The folder with a control group for each running container.
    public var folder: String
    public var program: LocalProgram

    public init(
        folder: String = "/sys/fs/cgroup/lxc",
        program: LocalProgram = LocalProgram("/usr/bin/lxc-stop", limit: .seconds(15))
    ) {
        self.folder = folder
        self.program = program
    }

    public func isRunning(_ guest: GuestNumber) -> Bool {
        guard guest.kind == .container else { return false }
        // The group may outlive its processes by a moment; it runs while there is one.
        return FileText.read("\(folder)/\(guest.number)/cgroup.events", most: 1_024)?.contains("populated 1") ?? false
    }

    /// Ends all its processes at once.
    public func kill(_ guest: GuestNumber) async throws(LocalProgramError) {
        _ = try await program.run(
            ["--name", "\(guest.number)", "--kill"], attempted: "end \(guest) at once",
            advice: "as root: lxc-stop --name \(guest.number) --kill")
    }
}

/// Small files of the kernel and of Proxmox.
enum FileText {
    /// nil when it cannot be read, or is longer than `most` bytes allow for.
    static func read(_ path: String, most: Int) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < most {
            let count = Glibc.read(descriptor, &part, min(part.count, most - bytes.count))
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            bytes += part[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
